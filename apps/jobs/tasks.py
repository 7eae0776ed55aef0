"""Tasks: functions that workers call. `@job()` above a function makes one, and `enqueue()` on it
stores a job in the present transaction.

This is Django's interface of tasks (https://docs.djangoproject.com/en/6.0/topics/tasks/), which
django-tasks brings to Django 5.2, with the backend of backend.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from django_tasks import task
from django_tasks.base import Task

P = ParamSpec("P")
T = TypeVar("T")

# What is waited for, what nobody waits for, and what may wait until nothing else does.
URGENT, NORMAL, IDLE = 100, 0, -100
PRIORITIES = (URGENT, NORMAL, IDLE)
# A server works on this queue; workers work on all of them.
UPKEEP = "upkeep"
QUEUES = ("default", UPKEEP)


class NotYet(Exception):
    """What a task raises whose time has not come: its job waits until then, with all of its
    attempts, as if nobody had tried it. What the task has committed stays."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"Not before {until.isoformat()}")
        self.until = until


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTask(Task[P, T]):
    """A task, and how its jobs are run."""

    # How many times a job is tried at most.
    attempts: int = 5
    # Seconds that one attempt may take.
    time_limit: float = 60.0
    # Whether the task writes to the database only, briefly: it then runs in the transaction that
    # ends the job, so that its effect and its end are one.
    atomic: bool = True
    # Of one job: the user who may see it, and a key that no other unended job has.
    owner_id: UUID | None = None
    unique_key: str | None = None

    def with_options(
        self,
        *,
        owner_id: UUID | None = None,
        unique_key: str | None = None,
        run_after: datetime | None = None,
    ) -> "JobTask[P, T]":
        """Return the task with options for one job."""
        return replace(self, owner_id=owner_id, unique_key=unique_key, run_after=run_after)


def job(
    *,
    priority: int = NORMAL,
    queue: str = "default",
    attempts: int = 5,
    time_limit: float = 60.0,
    atomic: bool = True,
) -> Callable[[Callable[P, T]], JobTask[P, T]]:
    """Return a decorator that makes a function a task. Its arguments and its result are JSON."""

    def decorate(function: Callable[P, T]) -> JobTask[P, T]:
        options: dict[str, Any] = {
            "attempts": attempts,
            "time_limit": time_limit,
            "atomic": atomic,
        }
        made = task(priority=priority, queue_name=queue, **options)(function)
        return cast("JobTask[P, T]", made)

    return decorate
