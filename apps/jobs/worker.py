"""A worker: threads that take jobs and do them, and one that holds what the others have taken.

A worker may be killed or frozen at any moment. Another one takes its jobs once their leases have
ended, and what a frozen one does afterwards does not count (leases.py, services.py).
"""

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import close_old_connections, connections

from apps.jobs.attempts import attempt, retry_seconds_after
from apps.jobs.durations import durations
from apps.jobs.enqueuing import task_of
from apps.jobs.leases import RENEW_SECONDS, jobs_give_back, jobs_take, leases_renew
from apps.jobs.models import Job
from apps.jobs.schedules import Scheduler
from apps.jobs.services import LeaseLost, job_fail, jobs_fail_abandoned
from apps.jobs.tasks import QUEUES
from apps.jobs.waking import POLL_SECONDS, start_listening, wait_for_jobs

log = structlog.get_logger(__name__)

# How often the time limits of attempts are looked at.
LOOK_SECONDS = 0.5


@dataclass(eq=False)
class Attempt:
    """A job that is being done. One that took too long was taken away from its thread."""

    job: Job
    limit: float
    began: float = field(default_factory=time.monotonic)
    taken_away: bool = False

    @property
    def late(self) -> bool:
        """Return whether it takes longer than it may."""
        return time.monotonic() - self.began > self.limit


class Worker:
    """Works on the jobs of some queues, in so many threads, until it is stopped."""

    def __init__(self, threads: int = 1, queues: Sequence[str] = QUEUES) -> None:
        self._name = f"{socket.gethostname()[:60]}:{os.getpid()}"
        self._queues = queues
        self._scheduler = Scheduler()
        self._stopping = threading.Event()
        # What is being done when it is told to stop is held until then.
        self._stopped = threading.Event()
        self._attempts: set[Attempt] = set()
        self._threads = [self._thread(self._work, "job", self._stopping) for _ in range(threads)]
        self._holder = self._thread(self._hold, "leases", self._stopped)

    def start(self) -> None:
        """Begin to work."""
        start_listening()
        for thread in (self._holder, *self._threads):
            thread.start()

    def stop(self, seconds: float) -> None:
        """Take no more jobs, wait so long for those that are being done, and give the rest back."""
        self._stopping.set()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._stopped.set()
        try:
            jobs_give_back(self._leases())
        except Exception:
            log.warning("jobs not given back; they are taken once their leases end", exc_info=True)
        try:
            durations.store()
        except Exception:
            log.warning("durations of jobs not stored", exc_info=True)
        # It may be in a database that hangs.
        self._holder.join(LOOK_SECONDS)

    def _thread(self, act: Callable[[], bool], name: str, end: threading.Event) -> threading.Thread:
        return threading.Thread(target=self._act_again, args=(act, end), daemon=True, name=name)

    def _act_again(self, act: Callable[[], bool], end: threading.Event) -> None:
        """Act until that returns False, or the end has come. An error, as of a database that is
        down, is logged, and the next time may succeed."""
        goes_on = True
        while goes_on and not end.is_set():
            try:
                close_old_connections()
                goes_on = act()
            except Exception:
                log.warning("the worker goes on after an error", exc_info=True)
                end.wait(POLL_SECONDS)
        connections.close_all()

    def _work(self) -> bool:
        """Do a job, or wait until there may be one; return whether this thread still works."""
        for job in jobs_take(self._name, self._queues, 1):
            current = Attempt(job, _time_limit(job))
            self._attempts.add(current)
            try:
                attempt(job)
            finally:
                self._attempts.discard(current)
            return not current.taken_away
        wait_for_jobs(POLL_SECONDS)
        return True

    def _hold(self) -> bool:
        """Renew the leases, take away what is late, enqueue what is periodic, and store how long
        jobs took."""
        jobs_fail_abandoned()
        leases_renew(self._leases())
        durations.store()
        renew_at = time.monotonic() + RENEW_SECONDS
        while time.monotonic() < renew_at and not self._stopped.wait(LOOK_SECONDS):
            self._scheduler.enqueue_due()
            for late in [one for one in tuple(self._attempts) if one.late and not one.taken_away]:
                self._take_away(late)
        return True

    def _take_away(self, late: Attempt) -> None:
        """End an attempt for everyone but its thread, which nothing can end, and have another
        thread work in its place."""
        job, reason = late.job, f"It took longer than {late.limit:g} seconds."
        try:
            job_fail(job, reason, again_in=retry_seconds_after(job))
            log.warning("job took too long", job=str(job.pk), task=job.task)
        except LeaseLost:
            pass
        late.taken_away = True
        thread = self._thread(self._work, "job", self._stopping)
        # First, since stop() waits for those that it finds.
        thread.start()
        self._threads.append(thread)

    def _leases(self) -> list[Any]:
        attempts = [one for one in tuple(self._attempts) if not one.taken_away]
        return [one.job.lease for one in attempts]


def _time_limit(job: Job) -> float:
    try:
        return task_of(job).time_limit
    except ImportError:
        # The attempt fails at once, and says why.
        return math.inf
