"""What a process counts for GET /metrics, as plain numbers (docs/decisions/0052-metrics.md).

Each module declares what it counts. What Prometheus reads is made of the numbers when it asks, so
that counting costs a busy request a fraction of a microsecond.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

Labels = tuple[str, ...]
# What a process has counted: the values of each metric by their labels.
Counted = Mapping[str, Mapping[Labels, Any]]

# The upper bounds of the parts of a histogram, in seconds.
REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
JOB_SECONDS = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0)

_declared: "dict[str, Counter | Histogram]" = {}


class Counter:
    """A number that grows, by labels. Its methods may be called in any thread."""

    kind = "counter"

    def __init__(self, name: str, description: str, labels: Sequence[str] = ()) -> None:
        self.name, self.description, self.labels = name, description, labels
        self._lock = threading.Lock()
        # What has no labels is there from the start, so that its first step is seen as one.
        self._values: dict[Labels, int] = {} if labels else {(): 0}
        _declare(self)

    def add(self, amount: int = 1, *labels: str) -> None:
        """Count so many more."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + amount

    def counted(self) -> dict[Labels, int]:
        """Return the numbers by their labels."""
        with self._lock:
            return self._values.copy()


class Level(Counter):
    """A number that grows and shrinks."""

    kind = "gauge"


class Histogram:
    """How long something took, by labels: how often up to each bound, and seconds in all. Its
    methods may be called in any thread."""

    kind = "histogram"

    def __init__(
        self, name: str, description: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        self.name, self.description, self.labels = name, description, labels
        self.bounds = bounds
        self._lock = threading.Lock()
        # For each bound how often, and above the last one; behind them the seconds.
        self._values: dict[Labels, list[float]] = {}
        _declare(self)

    def observe(self, labels: Labels, seconds: float) -> None:
        """Count one that took so long."""
        with self._lock:
            values = self._values.get(labels)
            if values is None:
                values = self._values[labels] = [0] * (len(self.bounds) + 1) + [0.0]
            values[bisect_left(self.bounds, seconds)] += 1
            values[-1] += seconds

    def counted(self) -> dict[Labels, list[float]]:
        """Return the numbers by their labels."""
        with self._lock:
            return {labels: values.copy() for labels, values in self._values.items()}


@dataclass(frozen=True)
class StoredGauge:
    """A number that the database has, by labels. `read` runs in a thread when Prometheus asks."""

    name: str
    description: str
    labels: Sequence[str]
    read: Callable[[], Mapping[Labels, float]]
    kind: ClassVar[str] = "gauge"


@dataclass(frozen=True)
class StoredHistogram:
    """A histogram that the database has, by labels: the numbers of each are those of Histogram."""

    name: str
    description: str
    labels: Sequence[str]
    bounds: Sequence[float]
    read: Callable[[], Mapping[Labels, list[float]]]
    kind: ClassVar[str] = "histogram"


StoredMetric = StoredGauge | StoredHistogram


def _declare(metric: "Counter | Histogram") -> None:
    if metric.name in _declared:
        raise ValueError(f"{metric.name} is declared twice.")
    _declared[metric.name] = metric


def declared() -> "Sequence[Counter | Histogram]":
    """Return what this process counts."""
    return list(_declared.values())


def counted() -> Counted:
    """Return what this process has counted so far."""
    return {metric.name: metric.counted() for metric in declared()}


def together(parts: "Sequence[Counted]") -> Counted:
    """Return the sums of what several processes have counted."""
    sums: dict[str, dict[Labels, Any]] = {}
    for part in parts:
        for name, values in part.items():
            of_metric = sums.setdefault(name, {})
            for labels, value in values.items():
                of_metric[labels] = _sum(of_metric.get(labels), value)
    return sums


def _sum(one: Any, other: Any) -> Any:
    if one is None:
        return other
    if isinstance(other, list):
        # Two releases of the server, which have other bounds, do not share a directory.
        return [a + b for a, b in zip(one, other, strict=True)]
    return one + other
