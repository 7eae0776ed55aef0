"""Storing jobs."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.core.db.sql import insert, values_of
from apps.core.ids import uuid7
from apps.jobs.models import Job
from apps.jobs.tasks import JobTask
from apps.jobs.waking import wake_after_commit

STORED = (
    *("id", "owner", "task", "arguments", "queue", "priority", "status", "due_at", "max_attempts"),
    *("unique_key", "slot", "created_at", "worker", "attempts", "progress", "error"),
)


def job_enqueue(task: JobTask[Any, Any], arguments: Any, slot: str | None = None) -> Job:
    """Store a job in the present transaction and return it. If an unended job has its unique key,
    or any job its slot, return that one."""
    while True:
        made = _made(task, arguments, slot)
        if insert(Job, STORED, values_of([made], STORED), "ON CONFLICT DO NOTHING RETURNING id"):
            made._state.adding = False
            wake_after_commit()
            return made
        # The one with the key may have ended since.
        if found := _same(task.unique_key, slot):
            return found


def jobs_enqueue(calls: Iterable[tuple[JobTask[Any, Any], Sequence[Any]]]) -> None:
    """Store a job for each task with its arguments, in the present transaction and in one
    statement. A task whose unique key an unended job has is left out."""
    made = [_made(task, {"args": list(arguments), "kwargs": {}}) for task, arguments in calls]
    if made:
        insert(Job, STORED, values_of(made, STORED), "ON CONFLICT DO NOTHING")
        wake_after_commit()


def _made(task: JobTask[Any, Any], arguments: Any, slot: str | None = None) -> Job:
    now = timezone.now()
    return Job(
        id=uuid7(),
        owner_id=task.owner_id,
        task=task.module_path,
        arguments=arguments,
        queue=task.queue_name,
        priority=task.priority,
        due_at=task.run_after or now,
        max_attempts=task.attempts,
        unique_key=task.unique_key,
        slot=slot,
        created_at=now,
    )


def _same(unique_key: str | None, slot: str | None) -> Job | None:
    if slot is not None:
        return Job.objects.filter(slot=slot).first()
    return Job.objects.filter(unique_key=unique_key, due_at__isnull=False).first()


def job_with_task(job_id: str | UUID) -> tuple[Job, JobTask[Any, Any]] | None:
    """Return a job and the task that it calls, or None."""
    try:
        found = Job.objects.filter(pk=job_id).first()
    except ValidationError:
        return None
    return None if found is None else (found, task_of(found))


def task_of(job: Job) -> JobTask[Any, Any]:
    """Return the task that a job calls; raise ImportError if this release does not have it."""
    found = import_string(job.task)
    if not isinstance(found, JobTask):
        raise ImportError(f"{job.task} is not a task.")
    return found
