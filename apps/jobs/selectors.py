"""What users may read of jobs: their own."""

from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from apps.accounts.models import User
from apps.jobs.errors import JobNotFound
from apps.jobs.models import Job
from apps.jobs.tasks import QUEUES


def jobs_of(user: User, status: str | None = None) -> QuerySet[Job]:
    """Return the user's jobs, the newest first."""
    own = Job.objects.filter(owner=user).order_by("-id")
    return own.filter(status=status) if status else own


def job_get(user: User, job_id: UUID) -> Job:
    """Return one of the user's jobs; raise JobNotFound."""
    found = Job.objects.filter(owner=user, pk=job_id).first()
    if found is None:
        raise JobNotFound
    return found


def count_by_status() -> dict[str, int]:
    """Return how many jobs there are of each status."""
    return dict(Job.objects.order_by().values_list("status").annotate(count=Count("pk")))


def open_jobs() -> dict[tuple[str, ...], int]:
    """Return how many jobs wait, are worked on and have failed, by queue and status. Those that
    are done are not counted, since there may be millions."""
    kept = Job.objects.filter(Q(due_at__isnull=False) | Q(status=Job.Status.FAILED))
    counts = kept.order_by().values_list("queue", "status").annotate(count=Count("pk"))
    return {(queue, status): count for queue, status, count in counts}


def oldest_due_seconds() -> dict[tuple[str, ...], float]:
    """Return for how long the oldest job of each queue has been due that no worker has taken; 0 if
    there is none."""
    now = timezone.now()
    due = Job.objects.filter(status=Job.Status.PENDING, due_at__lte=now)
    oldest = due.order_by().values_list("queue").annotate(since=Min("due_at"))
    waits = {queue: (now - since).total_seconds() for queue, since in oldest}
    return {(queue,): waits.get(queue, 0.0) for queue in {*QUEUES, *waits}}
