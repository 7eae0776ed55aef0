"""What one idle websocket costs the server in memory."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from bench.fanout import FOLLOW_FEED, SOCKETS_PER_PERSON, tokens_for
from bench.report import Report, middle, spread
from bench.servers import Backend, Server, backend, parley, same_uvicorn
from bench.sockets import Crowd, allow_open_files

SIZES = (1_000, 5_000)
ROUNDS = 2
# Sockets that come and go before the count begins, so that modules, threads and connections to the
# database, which a server has once, are not taken for the sockets'.
FIRST_VISITORS = 20
SETTLE_SECONDS = 2.0

Greeting = Sequence[tuple[bytes, str]]


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "memory", "Memory of an idle websocket", "at most 1.5 x the bare hub's, per socket"
    )
    largest = min(max(SIZES), allow_open_files(max(SIZES) + 500) - 100)
    sizes = sorted({min(size, largest) for size in SIZES})
    found: dict[str, list[dict[int, float]]] = {"Parley": [], "bare": []}
    with backend() as behind:
        people = behind.people(largest // SOCKETS_PER_PERSON)
        tokens = tokens_for(people, 0, largest)
        for _ in range(ROUNDS):
            found["Parley"].append(held(parley(behind), tokens, FOLLOW_FEED, sizes))
            found["bare"].append(held(bare(behind), [""] * largest, (), sizes))
            print({name: rounds[-1] for name, rounds in found.items()}, flush=True)
    for size in sizes:
        report.rows += rows(size, found)
    report.notes += [
        "Resident memory of the server's process with so many sockets less that before them, per "
        f"socket, in bytes; medians of {ROUNDS} rounds in turns, each with fresh processes.",
        f"{FIRST_VISITORS} sockets have come and gone before, so that what a process needs once is "
        "not counted.",
        "A socket of Parley is one of ten of its person, known by his token, and follows his own "
        "stream and the feed; one of the bare hub is in a set. Both on the same uvicorn, protocol "
        "class and settings.",
    ]
    return report


def bare(behind: Backend) -> AbstractContextManager[Server]:
    """Return the bare hub, to be started."""
    return same_uvicorn("bench.bare_hub:application", behind.environment)


def held(
    starting: AbstractContextManager[Server],
    tokens: Sequence[str],
    greeting: Greeting,
    sizes: Sequence[int],
) -> dict[int, float]:
    """Start a server and return its bytes per socket at each number of sockets."""
    found = {}
    with starting as server, Crowd(server.port) as crowd:
        crowd.join(tokens[:FIRST_VISITORS], greeting)
        crowd.leave()
        time.sleep(SETTLE_SECONDS)
        before = server.resident_bytes()
        for size in sizes:
            crowd.join(tokens[len(crowd.clients) : size], greeting)
            crowd.idle(SETTLE_SECONDS)
            found[size] = (server.resident_bytes() - before) / size
    return found


def rows(size: int, found: Mapping[str, Sequence[Mapping[int, float]]]) -> list[dict[str, Any]]:
    """Return the table's rows of one number of sockets."""
    made: list[dict[str, Any]] = []
    for name, rounds in found.items():
        figures = [one[size] for one in rounds]
        made.append(
            {
                "sockets": size,
                "server": name,
                "bytes per socket": round(middle(figures)),
                "from..to": spread(figures),
            }
        )
    made[0]["/ bare"] = made[0]["bytes per socket"] / made[1]["bytes per socket"]
    return made
