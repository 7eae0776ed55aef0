"""What is done to jobs. Each locks the row of its job first, and the stream of its owner last."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections, transaction
from django.db.models import F, Field
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import User
from apps.core.db.prepared import statement_cursor
from apps.core.errors import require
from apps.core.trace import trace
from apps.jobs.errors import JobEnded, JobNotFailed, JobNotFound, JobStoredAgain
from apps.jobs.events import job_ended
from apps.jobs.models import Job
from apps.jobs.waking import wake_after_commit

UNENDED = (Job.Status.PENDING, Job.Status.PROCESSING)
# Of an error that is kept.
LONGEST_ERROR = 2_000
KEPT = timedelta(days=30)
PRUNED_AT_ONCE = 1_000


class LeaseLost(Exception):
    """Another worker has the job now, or it was cancelled: what this one did must not count."""


def job_advance(job: Job, checkpoint: Any, progress: int) -> None:
    """Record how far a job has come, in the transaction of what it has done; raise LeaseLost."""
    _update_held(job, checkpoint=checkpoint, progress=progress)
    job.checkpoint, job.progress = checkpoint, progress


# Most often it is called in the transaction of the task, where a savepoint would be two more
# statements for nothing: what fails here undoes the task as well.
@transaction.atomic(savepoint=False)
def job_complete(job: Job, result: Any) -> None:
    """End a job that a worker has done; raise LeaseLost."""
    _end_held(job, Job.Status.COMPLETED, progress=100, result=result, error="")


@transaction.atomic
def job_fail(job: Job, error: str, *, again_in: float | None) -> None:
    """Try a job again in so many seconds, or end it, if that is None; raise LeaseLost."""
    error = error[-LONGEST_ERROR:]
    if again_in is None:
        _end_held(job, Job.Status.FAILED, error=error)
    else:
        due_at = timezone.now() + timedelta(seconds=again_in)
        _update_held(job, status=Job.Status.PENDING, lease=None, due_at=due_at, error=error)


@transaction.atomic
def job_postpone(job: Job, *, until: datetime) -> None:
    """Try a job at a time, as if it had not been tried; raise LeaseLost."""
    _update_held(job, status=Job.Status.PENDING, lease=None, due_at=until, attempts=0, error="")


def jobs_fail_abandoned() -> int:
    """End the jobs that were lost by their worker as often as they may be tried, and return how
    many. Such a job may be what ends the worker."""
    lost = Job.objects.filter(
        due_at__lte=Now(), status=Job.Status.PROCESSING, attempts__gte=F("max_attempts")
    )
    return sum(map(_fail_abandoned, lost))


@transaction.atomic
def _fail_abandoned(job: Job) -> bool:
    try:
        _end_held(job, Job.Status.FAILED, error="Its worker ended, or did not answer.")
    except LeaseLost:
        return False
    return True


@transaction.atomic
def job_cancel(actor: User, *, job_id: UUID) -> Job:
    """Cancel one's own job. What it has done in steps remains; all else is undone. Raises
    JobNotFound or JobEnded."""
    job = Job.objects.select_for_update().filter(pk=job_id, owner=actor).first()
    if job is None:
        raise JobNotFound
    require(job.status in UNENDED, JobEnded)
    return _cancelled(job)


def _cancelled(job: Job) -> Job:
    job.status, job.lease, job.due_at = Job.Status.CANCELLED, None, None
    job.finished_at = timezone.now()
    job.save(update_fields=["status", "lease", "due_at", "finished_at"])
    return job


@transaction.atomic
def job_retry(job_id: UUID, actor: User | None = None) -> Job:
    """Try a job that failed or was cancelled once more from where it was, with as many attempts as
    a new one. Administrators do it, and operators, for whom there is no actor. Raises JobNotFound,
    JobNotFailed, or JobStoredAgain if an unended job has its unique key."""
    job = Job.objects.select_for_update().filter(pk=job_id).first()
    if job is None:
        raise JobNotFound
    require(job.status in {Job.Status.FAILED, Job.Status.CANCELLED}, JobNotFailed)
    before = job.status
    job.status, job.attempts, job.error = Job.Status.PENDING, 0, ""
    job.due_at, job.finished_at = timezone.now(), None
    try:
        with transaction.atomic():
            job.save(update_fields=["status", "attempts", "error", "due_at", "finished_at"])
    except IntegrityError:
        raise JobStoredAgain from None
    if actor is not None:
        trace(actor, job, status=(before, job.status))
    wake_after_commit()
    return job


def jobs_prune() -> int:
    """Delete the jobs that ended KEPT ago, and return how many there were."""
    old = Job.objects.filter(finished_at__lt=timezone.now() - KEPT).order_by("finished_at")
    deleted = 0
    while part := list(old.values_list("pk", flat=True)[:PRUNED_AT_ONCE]):
        deleted += Job.objects.filter(pk__in=part).delete()[0]
    return deleted


def _end_held(job: Job, status: Job.Status, **values: Any) -> None:
    now = timezone.now()
    _update_held(job, status=status, lease=None, due_at=None, finished_at=now, **values)
    job.status, job.finished_at = status, now
    for name, value in values.items():
        setattr(job, name, value)
    if job.owner_id is not None:
        job_ended(job)


def _update_held(job: Job, **values: Any) -> None:
    """Write to a job that is held by this lease. The row stays locked until the commit, so nobody
    can take the job meanwhile.

    This is the ORM's update() as a prepared statement, since it runs for each job and step.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    given = [*values.items(), ("id", job.pk), ("lease", job.lease)]
    cursor = statement_cursor(connection)
    cursor.execute(
        f"UPDATE jobs_job SET {', '.join(f'{name} = %s' for name in values)}"  # noqa: S608
        " WHERE id = %s AND lease = %s",
        [_field(name).get_db_prep_save(value, connection) for name, value in given],
    )
    if not cursor.rowcount:
        raise LeaseLost


def _field(name: str) -> "Field[Any, Any]":
    found = Job._meta.get_field(name)
    assert isinstance(found, Field)
    return found
