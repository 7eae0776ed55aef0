"""Figures with a neighbour and without, as a row of the table."""

import math
from collections import Counter
from dataclasses import dataclass, field

from bench.misbehaviour import Outcome
from bench.observers import PATIENCE, Seen, Series
from bench.report import Row, median_of, percentile, spread

MB = 1e6


@dataclass(frozen=True)
class Window:
    """A measured period of time.perf_counter(), and the cores that the servers took in it."""

    began: float
    ended: float
    cores: float

    def of(self, series: Series) -> list[float]:
        """Return the milliseconds that requests sent in this period took."""
        return [took * 1000 for sent, took in series if self.began <= sent < self.ended]


@dataclass
class Measured:
    """What was measured with one neighbour. Memory is that before, the highest and that after, for
    each process."""

    quiet: list[Window] = field(default_factory=list)
    disturbed: list[Window] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    memory: list[tuple[float, float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Compared:
    """Figures of one kind with and without a neighbour."""

    ratio: float
    p99: str
    p50: str
    # With the neighbour.
    failed: int

    @classmethod
    def of(cls, series: Series, measured: Measured) -> "Compared":
        """Compare what was sent in the rounds with a neighbour and in those without."""
        quiet = [window.of(series) for window in measured.quiet]
        disturbed = [window.of(series) for window in measured.disturbed]
        without, with_it = (
            [percentile(took, 0.99) for took in rounds] for rounds in (quiet, disturbed)
        )
        medians = [
            median_of([percentile(took, 0.5) for took in part]) for part in (quiet, disturbed)
        ]
        return cls(
            ratio=median_of(with_it) / median_of(without),
            p99=f"{median_of(without):.1f} → {median_of(with_it):.1f} ({spread(with_it)})",
            p50=f"{medians[0]:.1f} → {medians[1]:.1f}",
            failed=sum(one >= PATIENCE * 1000 for took in disturbed for one in took),
        )


def row(name: str, measured: Measured, seen: Seen) -> Row:
    """Return the row of the table: ratios first."""
    reads, across, within = (
        Compared.of(series, measured) for series in (seen.reads, seen.across, seen.within)
    )
    before, peak, after = max(measured.memory, key=_growth)
    tally, failures = (
        sum((outcome.tally for outcome in measured.outcomes), Counter()),
        seen.failures,
    )
    cores = [
        median_of([one.cores for one in part]) for part in (measured.quiet, measured.disturbed)
    ]
    return {
        "neighbour": name,
        "reads x (≤ 3)": reads.ratio,
        "deliveries x (≤ 2)": across.ratio,
        "within one process x": within.ratio,
        "reads p99": reads.p99,
        "deliveries p99": across.p99,
        "reads p50": reads.p50,
        "deliveries p50": across.p50,
        "reads failed": reads.failed,
        "deliveries failed": across.failed + within.failed,
        "memory MB": f"{before / MB:.0f} → {peak / MB:.0f} → {after / MB:.0f}",
        "servers' cores": f"{cores[0]:.2f} → {cores[1]:.2f}",
        "neighbour's core": median_of([outcome.busy for outcome in measured.outcomes]),
        "late": median_of(
            [percentile(window.of(seen.late), 0.99) for window in measured.disturbed]
        ),
        "outcomes": _listed(tally),
        "failures of users": _listed(failures),
    }


def _growth(memory: tuple[float, float, float]) -> float:
    # A process that has died has no figure, and nothing is worse.
    growth = memory[1] - memory[0]
    return math.inf if math.isnan(growth) else growth


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in sorted(counted.items()))
