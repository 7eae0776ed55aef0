"""How much memory of the server one idle websocket takes."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from bench.fanout import SOCKETS_PER_USER, SUBSCRIBE_TO_FEED, tokens_for
from bench.report import Report, median_of, spread
from bench.servers import Backend, Server, parley, same_uvicorn, start_backend
from bench.sockets import Crowd, allow_open_files

SIZES = (1_000, 5_000)
ROUNDS = 2
# Sockets that open and close before the count begins, so that modules, threads and connections to
# the database, which a server has once, do not count as memory of sockets.
FIRST_SOCKETS = 20
SETTLE_SECONDS = 2.0

Greeting = Sequence[tuple[bytes, str]]


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "memory", "Memory of an idle websocket", "at most 1.5 x that of the bare hub, per socket"
    )
    largest = min(max(SIZES), allow_open_files(max(SIZES) + 500) - 100)
    sizes = sorted({min(size, largest) for size in SIZES})
    found: dict[str, list[dict[int, float]]] = {"Parley": [], "bare": []}
    with start_backend() as backend:
        users = backend.users(largest // SOCKETS_PER_USER)
        tokens = tokens_for(users, 0, largest)
        for _ in range(ROUNDS):
            found["Parley"].append(held(parley(backend), tokens, SUBSCRIBE_TO_FEED, sizes))
            found["bare"].append(held(bare(backend), [""] * largest, (), sizes))
            print({name: rounds[-1] for name, rounds in found.items()}, flush=True)
    for size in sizes:
        report.rows += rows(size, found)
    report.notes += [
        "Resident memory of the server's process with so many sockets, less that before them, per "
        f"socket, in bytes; medians of {ROUNDS} rounds in turn, each with new processes.",
        f"{FIRST_SOCKETS} sockets open and close before, so that what a process needs once does "
        "not count.",
        "A socket of Parley is one of ten of its user, authenticated by a token, and subscribed to "
        "the user's own stream and the feed; one of the bare hub is in a set. Both run on the same "
        "uvicorn, protocol class and settings.",
    ]
    return report


def bare(backend: Backend) -> AbstractContextManager[Server]:
    """Return the bare hub, which is not started yet."""
    return same_uvicorn("bench.bare_hub:application", backend.environment)


def held(
    starting: AbstractContextManager[Server],
    tokens: Sequence[str],
    greeting: Greeting,
    sizes: Sequence[int],
) -> dict[int, float]:
    """Start a server and return its bytes per socket at each number of sockets."""
    found = {}
    with starting as server, Crowd(server.port) as crowd:
        crowd.join(tokens[:FIRST_SOCKETS], greeting)
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
                "bytes per socket": round(median_of(figures)),
                "from..to": spread(figures),
            }
        )
    made[0]["/ bare"] = made[0]["bytes per socket"] / made[1]["bytes per socket"]
    return made
