"""What users may read of jobs: their own."""

from uuid import UUID

from django.db.models import Count, QuerySet

from apps.accounts.models import User
from apps.jobs.errors import JobNotFound
from apps.jobs.models import Job


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
