"""One attempt at a job that a worker has taken."""

import random
import time
from asyncio import CancelledError
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from django.db import transaction
from django_tasks.utils import normalize_json

from apps.core.errors import DomainError
from apps.jobs.durations import durations
from apps.jobs.enqueuing import task_of
from apps.jobs.errors import TryLater
from apps.jobs.models import Job
from apps.jobs.services import LeaseLost, job_complete, job_fail, job_postpone
from apps.jobs.steps import running
from apps.jobs.tasks import JobTask, NotYet

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS = 2.0
LAST_RETRY_SECONDS = 3600.0


def attempt(job: Job) -> None:
    """Call the task of a job and record the outcome. An error is logged, and the job is tried again
    later, unless the error is a refusal or the attempts are used up."""
    began = time.monotonic()
    outcome = _outcome_of_attempt(job)
    durations.observe(job.task, outcome, time.monotonic() - began)


def _outcome_of_attempt(job: Job) -> str:
    try:
        task = task_of(job)
        with running(job):
            if task.atomic:
                with transaction.atomic():
                    job_complete(job, _call(task, job))
            else:
                job_complete(job, _call(task, job))
    except LeaseLost:
        log.warning("job lost", job=str(job.pk), task=job.task)
        return "lost"
    except NotYet as not_yet:
        _end(job, partial(job_postpone, job, until=not_yet.until))
        return "postponed"
    except (Exception, SystemExit, CancelledError) as error:  # noqa: BLE001
        # The latter two would end this thread, and then that of each next attempt.
        _fail(job, error)
        return "failed"
    log.info("job completed", job=str(job.pk), task=job.task)
    return "completed"


def _call(task: JobTask[Any, Any], job: Job) -> Any:
    return normalize_json(task.func(*job.arguments["args"], **job.arguments["kwargs"]))


def _fail(job: Job, error: BaseException) -> None:
    again_in = None if isinstance(error, DomainError) else retry_seconds_after(job)
    shown: BaseException | None = error
    if isinstance(error, TryLater):
        again_in, shown = again_in and max(again_in, error.seconds), None
    log.warning("job failed", job=str(job.pk), task=job.task, again_in=again_in, exc_info=shown)
    said = _storable(f"{type(error).__name__}: {error}")
    _end(job, partial(job_fail, job, said, again_in=again_in))


def _storable(text: str) -> str:
    """Return a text without what a database cannot hold, as an answer of a mail server may have
    it."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _end(job: Job, end: Callable[[], None]) -> None:
    try:
        end()
    except LeaseLost:
        log.warning("job lost", job=str(job.pk), task=job.task)


def retry_seconds_after(job: Job) -> float | None:
    """Return how long a job that failed is to wait, or None if it has used up its attempts.

    That is twice as long each time, and at random between half of it and all of it, so that jobs
    that failed together are not tried together.
    """
    if job.attempts >= job.max_attempts:
        return None
    longest: float = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** (job.attempts - 1))
    return random.uniform(longest / 2, longest)  # noqa: S311
