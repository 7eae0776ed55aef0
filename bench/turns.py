"""Figures of several builds or servers that are measured in turn, and a row for each comparison."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan

from bench.load import Answered, Load, run
from bench.report import Row, median_of, spread
from bench.servers import Server

ROUNDS = 5


@dataclass(frozen=True)
class Turn:
    """What was measured in one turn. `server_cpu` is the server's own processor time per request,
    in seconds; it hardly depends on other programs. nan if it is unknown."""

    answered: Answered
    server_cpu: float


Side = Callable[[], Turn]
Turns = Sequence[Turn]


@dataclass(frozen=True)
class Comparison:
    """Two of the sides: what is measured, its limit, and the least ratio that is a goal, if any."""

    side: str
    limit: str
    goal: str = ""


def side(load: Load, *servers: Server) -> Side:
    """Return what measures a load, whose requests go on where they stopped in the turn before."""
    position = load.first

    def measure() -> Turn:
        nonlocal position
        before = [server.cpu_seconds() for server in servers]
        answered = run(replace(load, first=position))
        position += answered.count
        cpu = sum(server.cpu_seconds() for server in servers) - sum(before)
        return Turn(answered, cpu / max(answered.count, 1))

    return measure


def in_turn(sides: Mapping[str, Side], rounds: int = ROUNDS) -> dict[str, Turns]:
    """Measure the sides in turn. The first turn of each, which warms it up, does not count."""
    turns: dict[str, list[Turn]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, measure in sides.items():
            turn = measure()
            if number:
                turns[name].append(turn)
    return {**turns}


def row(what: str, turns: Mapping[str, Turns], comparison: Comparison) -> Row:
    """Return the row of the table for two of the sides. Both ratios are better if they are
    larger; that of the processor times is of the limit to the side.

    A limit that was not measured leaves its columns empty.
    """
    ours, limit = turns[comparison.side], turns.get(comparison.limit)
    rates = _rates(ours)
    found: dict[str, object] = {
        "request": what,
        "server": comparison.side,
        "compared with": comparison.limit if limit else f"{comparison.limit} (not measured)",
        "goal": comparison.goal,
        "ratio": None,
        "cpu ratio": None,
        "requests/s": median_of(rates),
        "from..to": spread(rates),
        "limit's requests/s": None,
        "limit's from..to": None,
        "p50 ms": median_of([one.answered.p50 * 1000 for one in ours]),
        "p99 ms": median_of([one.answered.p99 * 1000 for one in ours]),
        "server cpu µs": _cpu(ours),
        "limit's cpu µs": None,
        "load cpu µs": median_of([one.answered.cpu * 1e6 for one in ours]),
        "failed": sum(one.answered.failures.total() for one in ours),
    }
    if limit:
        found |= {
            "ratio": _known(median_of(rates) / (median_of(_rates(limit)) or nan)),
            "cpu ratio": _known(_cpu(limit) / _cpu(ours)),
            "limit's requests/s": median_of(_rates(limit)),
            "limit's from..to": spread(_rates(limit)),
            "limit's cpu µs": _known(_cpu(limit)),
        }
    return found


def rows(what: str, sides: Mapping[str, Side], *comparisons: Comparison) -> list[Row]:
    """Measure the sides in turn, print and return a row for each comparison."""
    turns = in_turn(sides)
    found = [row(what, turns, comparison) for comparison in comparisons]
    print(*found, sep="\n", flush=True)
    return found


def _rates(turns: Turns) -> list[float]:
    return [one.answered.per_second for one in turns]


def _cpu(turns: Turns) -> float:
    return median_of([one.server_cpu * 1e6 for one in turns])


def _known(figure: float) -> float | None:
    return None if isnan(figure) else figure
