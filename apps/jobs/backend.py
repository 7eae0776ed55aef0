"""The backend of django-tasks that stores jobs in the database (docs/decisions/0051-jobs.md)."""

from typing import Any, ParamSpec, TypeVar

from django_tasks.backends.base import BaseTaskBackend
from django_tasks.base import Task, TaskResult, TaskResultStatus
from django_tasks.exceptions import InvalidTaskError, TaskResultDoesNotExist
from django_tasks.utils import normalize_json

from apps.jobs.tasks import PRIORITIES, JobTask

P = ParamSpec("P")
T = TypeVar("T")


class JobBackend(BaseTaskBackend):
    """Enqueues in the transaction of the caller."""

    task_class = JobTask
    supports_defer = True
    supports_get_result = True
    supports_priority = True

    def validate_task(self, task: Task[Any, Any]) -> None:
        """Raise InvalidTaskError for a priority that no worker asks for, and for what the library
        refuses."""
        super().validate_task(task)
        if task.priority not in PRIORITIES:
            raise InvalidTaskError(f"The priority is one of {PRIORITIES}.")

    def enqueue(self, task: Task[P, T], args: Any, kwargs: Any) -> TaskResult[T]:
        """Store a job in the present transaction, and return it. If an unended job has the unique
        key of the task, return that one."""
        # The models are not loaded when a module with tasks is imported.
        from apps.jobs.enqueuing import job_enqueue

        # The task was validated when it was made.
        assert isinstance(task, JobTask)
        return result_of(job_enqueue(task, normalize_json({"args": args, "kwargs": kwargs})), task)

    def get_result(self, result_id: str) -> TaskResult[Any]:
        """Return the job with an id; raise TaskResultDoesNotExist."""
        from apps.jobs.enqueuing import job_with_task

        found = job_with_task(result_id)
        if found is None:
            raise TaskResultDoesNotExist(result_id)
        return result_of(*found)


STATUSES = {
    "pending": TaskResultStatus.READY,
    "processing": TaskResultStatus.RUNNING,
    "completed": TaskResultStatus.SUCCESSFUL,
    "failed": TaskResultStatus.FAILED,
    "cancelled": TaskResultStatus.FAILED,
}


def result_of(job: Any, task: Task[Any, Any]) -> TaskResult[Any]:
    """Return a job as the library describes it."""
    result: TaskResult[Any] = TaskResult(
        task=task,
        id=str(job.pk),
        status=STATUSES[job.status],
        enqueued_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        last_attempted_at=job.started_at,
        args=job.arguments["args"],
        kwargs=job.arguments["kwargs"],
        backend=task.backend,
        errors=[],
        worker_ids=[job.worker] * job.attempts,
    )
    object.__setattr__(result, "_return_value", job.result)
    return result
