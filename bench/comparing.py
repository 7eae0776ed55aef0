"""Figures with a neighbour beside those without, as a row of the table."""

import math
from collections import Counter
from dataclasses import dataclass, field

from bench.bystanders import PATIENCE, Seen, Series
from bench.misbehaviour import Outcome
from bench.report import Row, middle, percentile, spread

MB = 1e6


@dataclass(frozen=True)
class Window:
    """A time that was measured, by time.perf_counter(), and the cores that the servers took."""

    began: float
    ended: float
    cores: float

    def of(self, series: Series) -> list[float]:
        """Return the milliseconds of what was sent in this time."""
        return [took * 1000 for sent, took in series if self.began <= sent < self.ended]


@dataclass
class Measured:
    """What was measured with one neighbour. Memory is before, highest and after, by process."""

    quiet: list[Window] = field(default_factory=list)
    beside: list[Window] = field(default_factory=list)
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
        """Compare what was sent in the rounds with those between them."""
        quiet = [window.of(series) for window in measured.quiet]
        beside = [window.of(series) for window in measured.beside]
        without, with_it = (
            [percentile(took, 0.99) for took in rounds] for rounds in (quiet, beside)
        )
        halves = [middle([percentile(took, 0.5) for took in part]) for part in (quiet, beside)]
        return cls(
            ratio=middle(with_it) / middle(without),
            p99=f"{middle(without):.1f} → {middle(with_it):.1f} ({spread(with_it)})",
            p50=f"{halves[0]:.1f} → {halves[1]:.1f}",
            failed=sum(one >= PATIENCE * 1000 for took in beside for one in took),
        )


def row(name: str, measured: Measured, seen: Seen) -> Row:
    """Return the table's row: ratios first."""
    reads, across, within = (
        Compared.of(series, measured) for series in (seen.reads, seen.across, seen.within)
    )
    before, peak, after = max(measured.memory, key=_growth)
    told, troubles = sum((outcome.told for outcome in measured.outcomes), Counter()), seen.troubles
    cores = [middle([one.cores for one in part]) for part in (measured.quiet, measured.beside)]
    return {
        "beside": name,
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
        "neighbour's core": middle([outcome.busy for outcome in measured.outcomes]),
        "late": middle([percentile(window.of(seen.late), 0.99) for window in measured.beside]),
        "what became of it": _listed(told),
        "what people met with": _listed(troubles),
    }


def _growth(memory: tuple[float, float, float]) -> float:
    # Of a process that has died there is no number, and nothing worse.
    growth = memory[1] - memory[0]
    return math.inf if math.isnan(growth) else growth


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in sorted(counted.items()))
