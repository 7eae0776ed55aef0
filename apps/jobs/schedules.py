"""Periodic jobs. A schedule has a slot for each of its periods, and the table of jobs takes one job
for a slot: so any number of workers may enqueue it, and it runs once."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from apps.core.features import schedules
from apps.jobs.enqueuing import job_enqueue
from apps.jobs.models import Job
from apps.jobs.tasks import JobTask

# The first worker that looks may be in a server that has just started and has other things to do.
DELAY_SECONDS = 60


@dataclass(frozen=True)
class Schedule:
    """A task without arguments, and its period in seconds. Periods begin at the epoch, in UTC."""

    task: JobTask[[], Any]
    every: int


class Scheduler:
    """Enqueues the periodic jobs of all features. Each worker has one."""

    def __init__(self) -> None:
        self._schedules: Mapping[str, Schedule] = schedules()
        self._enqueued: dict[str, int] = {}

    def enqueue_due(self) -> None:
        """Enqueue what has a new slot. What no worker enqueued in its slot is left out: a server
        that was off for a night need not do a night's work."""
        for name, schedule in self._schedules.items():
            slot = int(time.time() // schedule.every)
            if self._enqueued.get(name) != slot:
                if not Job.objects.filter(slot=f"{name}@{slot}").exists():
                    later = timezone.now() + timedelta(seconds=DELAY_SECONDS)
                    task = schedule.task.with_options(run_after=later)
                    job_enqueue(task, {"args": [], "kwargs": {}}, slot=f"{name}@{slot}")
                self._enqueued[name] = slot
