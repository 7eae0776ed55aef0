"""A task that works in steps: each is one transaction, and is done once, whatever ends the worker.

@job(atomic=False)
def count_to(last: int) -> None:
    job = current_job()
    for number in range(job.checkpoint or 0, last):
        with job.step(number + 1, progress=100 * number // last):
            ...
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.jobs.models import Job
from apps.jobs.services import job_advance

_running: ContextVar["RunningJob"] = ContextVar("running job")


class RunningJob:
    """The job that calls the present task."""

    def __init__(self, job: Job) -> None:
        self._job = job

    @property
    def id(self) -> UUID:
        """The id, which is the same each time that the job is tried."""
        return self._job.pk

    @property
    def is_last_attempt(self) -> bool:
        """Whether nobody tries the job again after this attempt."""
        return self._job.attempts >= self._job.max_attempts

    @property
    def checkpoint(self) -> Any:
        """What the last step recorded, None before the first one."""
        return self._job.checkpoint

    @contextmanager
    def step(self, checkpoint: Any, progress: int) -> Iterator[None]:
        """Do what the block does in one transaction with recording it, so that it is done once.
        Raises LeaseLost, and undoes the block, if another worker has the job now, or it was
        cancelled."""
        with transaction.atomic():
            # First, so that the row is locked while the step works: nobody takes the job meanwhile.
            job_advance(self._job, checkpoint, progress)
            yield


def current_job() -> RunningJob:
    """Return the job that calls the present task; raise LookupError outside of one."""
    return _running.get()


@contextmanager
def running(job: Job) -> Iterator[None]:
    """Make it the present job in the block."""
    token = _running.set(RunningJob(job))
    try:
        yield
    finally:
        _running.reset(token)
