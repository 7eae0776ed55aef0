"""Workers that are killed, for the tests of all apps."""

import json
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from django.db import connections
from django.utils import timezone

from apps.jobs.attempts import attempt
from apps.jobs.leases import jobs_take
from apps.jobs.models import Job
from apps.jobs.tasks import QUEUES
from testing.server import python_process

# Where a worker is killed, for each point of a job: before or after a call of this name. What has
# the effect is the caller's to say.
BEFORE_IT_IS_TAKEN = ("before", "apps.jobs.worker.jobs_take")
AFTER_IT_IS_TAKEN = ("before", "apps.jobs.worker.attempt")
BEFORE_ITS_END_IS_WRITTEN = ("before", "apps.jobs.attempts.job_complete")
AFTER_ITS_END = ("before", "apps.jobs.attempts.log.info")

KillWorker = Callable[..., None]


def worker_killer(folder: Path) -> KillWorker:
    """Return a function that runs `manage.py worker` until it kills itself: before or after a call
    of a function, at so many calls, with other values of some names (killed_worker.py)."""

    def kill(when: str, call: str, times: int = 1, **values: object) -> None:
        point = {"when": when, "call": call, "times": times, "with": values}
        log = folder / "worker.log"
        with python_process(
            log, "-m", "apps.jobs.tests.killed_worker", json.dumps(point)
        ) as worker:
            assert worker.wait(timeout=60) == -signal.SIGKILL, log.read_text()

    return kill


def go_on() -> None:
    """Be the other worker, once the leases of the first one have ended."""
    leases_end()
    while taken := jobs_take("other", QUEUES, 1):
        attempt(taken[0])
    connections.close_all()


def leases_end() -> None:
    """Let the leases of workers that were killed end."""
    Job.objects.filter(status="processing").update(due_at=timezone.now() - timedelta(seconds=1))
