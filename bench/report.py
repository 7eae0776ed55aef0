"""The results of a benchmark, as a table for readers and as JSON for programs."""

import json
import math
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent / "results"
# The share of the machine's time that other programs may take without changing the figures.
QUIET = 0.1
PACKAGES = ("Django", "djangorestframework", "channels", "uvicorn", "websockets", "uvloop")

Row = Mapping[str, Any]


@dataclass
class Report:
    """Rows of figures under the same headings, with notes that explain them."""

    name: str
    title: str
    goal: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    # The share of the machine that other programs took when the measurement began.
    busy_before: float = field(default_factory=lambda: busy())

    def __post_init__(self) -> None:
        if self.busy_before > QUIET:
            self.notes.append(
                f"NOT QUIET: other programs took {self.busy_before:.0%} of the machine when this "
                "began. Ratios and times are unreliable."
            )
            print(f"== {self.notes[-1]}", flush=True)

    def write(self) -> str:
        """Write both files, in place of those of the last run, and return the table."""
        RESULTS.mkdir(exist_ok=True)
        about = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "cores": os.cpu_count(),
            "busy before": f"{self.busy_before:.0%}",
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            **{name: version(name) for name in PACKAGES},
            **self.versions,
        }
        content = {
            "name": self.name,
            "goal": self.goal,
            "about": about,
            "rows": self.rows,
            "notes": self.notes,
        }
        text = self._markdown(about)
        (RESULTS / f"{self.name}.json").write_text(json.dumps(content, indent=2) + "\n")
        (RESULTS / f"{self.name}.md").write_text(text)
        return text

    def _markdown(self, about: Mapping[str, Any]) -> str:
        headings = list(dict.fromkeys(heading for row in self.rows for heading in row))
        lines = [
            f"# {self.title}",
            "",
            f"Goal: {self.goal}",
            "",
            f"| {' | '.join(headings)} |",
            f"|{'---|' * len(headings)}",
            *(
                f"| {' | '.join(_cell(row.get(heading)) for heading in headings)} |"
                for row in self.rows
            ),
            "",
            *(f"- {note}" for note in self.notes),
            "",
            ", ".join(f"{name} {value}" for name, value in about.items()),
            "",
        ]
        return "\n".join(lines)


def busy() -> float:
    """Return the share of the machine's time that is in use now; nan if it is unknown."""
    before = processor_times()
    time.sleep(1)
    return busy_since(before)


def busy_since(before: tuple[int, int]) -> float:
    """Return the share of the machine's time that was in use since processor_times() returned this;
    nan if it is unknown."""
    used, total = (after - was for after, was in zip(processor_times(), before, strict=True))
    return used / total if total else math.nan


def processor_times() -> tuple[int, int]:
    """Return the time that all cores have worked since the start, and their whole time."""
    try:
        line = Path("/proc/stat").read_text().partition("\n")[0]
    except FileNotFoundError:
        return 0, 0
    times = [int(ticks) for ticks in line.split()[1:9]]
    # The fourth is the idle time, and the fifth the idle time that waits for a disk.
    return sum(times) - times[3] - times[4], sum(times)


def median_of(figures: Sequence[float]) -> float:
    """Return the median; nan of nothing."""
    return median(figures) if figures else float("nan")


def percentile(figures: Sequence[float], share: float) -> float:
    """Return the figure below which this share of them lies; nan of nothing."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def spread(figures: Sequence[float], digits: int = 0) -> str:
    """Return the smallest and the largest figure, which show how reliable the median is."""
    return f"{min(figures):.{digits}f}..{max(figures):.{digits}f}" if figures else ""


def compared(
    what: str,
    goal: str,
    ours: Sequence[float],
    limit: str = "",
    limits: Sequence[float] = (),
    more: Row | None = None,
) -> Row:
    """Return a row of medians: our figures of several rounds, those of the limit, if there is one,
    and more columns."""
    return {
        "what": what,
        "compared with": limit,
        "goal": goal,
        "ratio": median_of(ours) / median_of(limits) if limits else None,
        "Parley": median_of(ours),
        "from..to": spread(ours, 1),
        "limit": median_of(limits) if limits else None,
        "limit's from..to": spread(limits, 1),
        **(more or {}),
    }


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)
