"""How long attempts at jobs took, for GET /metrics.

All workers add to one table, since `manage.py worker` has no port at which Prometheus could ask it.
Each gathers in memory, and adds what it has every few seconds; one that is killed loses only that.
"""

import threading
from bisect import bisect_left
from collections.abc import Mapping

from apps.core.db.sql import insert
from apps.core.metrics import JOB_SECONDS, Labels
from apps.jobs.models import AttemptCount

# The upper bounds of the parts as the table has them.
BOUNDS = (*map(str, JOB_SECONDS), "+Inf")
_ADD = """
    ON CONFLICT (task, outcome, up_to) DO UPDATE
    SET count = {table}.count + excluded.count,
        microseconds = {table}.microseconds + excluded.microseconds
"""
STORED = ("task", "outcome", "up_to", "count", "microseconds")
MICROSECONDS = 1_000_000
# Task, outcome and upper bound.
Part = tuple[str, str, str]


class Durations:
    """What a process has not stored yet. Its methods may be called in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Part, tuple[int, int]] = {}

    def observe(self, task: str, outcome: str, seconds: float) -> None:
        """Count an attempt."""
        bound = BOUNDS[bisect_left(JOB_SECONDS, seconds)]
        self._add({(task, outcome, bound): (1, round(seconds * MICROSECONDS))})

    def store(self) -> None:
        """Add what was counted since the last time. What cannot be stored is kept for the next."""
        with self._lock:
            counts, self._counts = self._counts, {}
        # All workers lock the rows in one order.
        rows = [(*part, *values) for part, values in sorted(counts.items())]
        try:
            insert(AttemptCount, STORED, rows, _ADD)
        except BaseException:
            self._add(counts)
            raise

    def _add(self, counts: Mapping[Part, tuple[int, int]]) -> None:
        with self._lock:
            for part, (count, microseconds) in counts.items():
                before = self._counts.get(part, (0, 0))
                self._counts[part] = before[0] + count, before[1] + microseconds


durations = Durations()


def stored_durations() -> dict[Labels, list[float]]:
    """Return by task and outcome how often attempts took up to each bound, and their seconds."""
    found: dict[Labels, list[float]] = {}
    for one in AttemptCount.objects.all():
        values = found.setdefault((one.task, one.outcome), [0] * len(BOUNDS) + [0.0])
        # A bound of another release counts for the next one that there is.
        values[bisect_left(JOB_SECONDS, float(one.up_to))] += one.count
        values[-1] += one.microseconds / MICROSECONDS
    return found
