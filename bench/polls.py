"""What requests that wait for events cost: memory, threads, and the time until all are answered."""

import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import orjson

from apps.realtime.errors import POLLS_PER_USER
from bench.report import Report, median_of, spread
from bench.servers import Backend, Server, User, parley, same_uvicorn, start_backend
from bench.sockets import Refused, allow_open_files

SIZES = (1_000, 2_500)
ROUNDS = 2
# Polls that come and go before the count begins, so that modules, threads and connections to the
# database, which a server has once, do not count as memory of polls.
FIRST_POLLS = 200
# The server has begun to wait for all of them when it takes less of so many seconds.
SETTLE_SECONDS = 0.5
IDLE = 0.05
# Longer than it takes to have all of them wait: the first must not end before the last has begun.
WAIT = 25
POST = {"title": "A post for all", "content": "Long enough to be a post. " * 10}


@dataclass(frozen=True)
class Found:
    """What so many polls took: bytes for each, threads beyond those before, and the milliseconds
    from one event until all were answered."""

    bytes_each: float
    threads: int
    milliseconds: float


class Polls:
    """Many requests that wait, on a connection each."""

    def __init__(self, server: Server, after: int) -> None:
        self._server = server
        self._after = after
        self._selector = selectors.DefaultSelector()
        self._connections: list[socket.socket] = []

    def __enter__(self) -> "Polls":
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def begin(self, users: Sequence[User]) -> None:
        """Send a request of each user, for their own stream and the feed."""
        for user in users:
            query = f"stream=user.{user.id},feed&after=0,{self._after}&wait={WAIT}"
            connection = socket.create_connection(("127.0.0.1", self._server.port))
            connection.sendall(
                f"GET /api/v1/events?{query} HTTP/1.1\r\n"
                f"Host: 127.0.0.1\r\nAuthorization: Bearer {user.token}\r\n\r\n".encode()
            )
            self._connections.append(connection)
            self._selector.register(connection, selectors.EVENT_READ)

    def settle(self) -> None:
        """Return when the server waits for all of them; raise Refused if one is answered."""
        busy = IDLE
        while busy >= IDLE:
            before = self._server.cpu_seconds()
            if self._selector.select(SETTLE_SECONDS):
                raise Refused("A poll was answered too early.")
            busy = self._server.cpu_seconds() - before

    def answered(self) -> float:
        """Return when the last of them was answered, by time.monotonic()."""
        waiting = len(self._connections)
        while waiting:
            for key, _ in self._selector.select(WAIT):
                connection: Any = key.fileobj
                answer = connection.recv(65536)
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise Refused(answer.decode(errors="replace"))
                self._selector.unregister(connection)
                waiting -= 1
        return time.monotonic()

    def leave(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._selector.close()
        self._selector = selectors.DefaultSelector()


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "polls",
        "Requests that wait for events",
        "at most 30 kB each, no thread, and all answered by one event",
    )
    largest = min(max(SIZES), allow_open_files(max(SIZES) + 500) - 100)
    sizes = sorted({min(size, largest) for size in SIZES})
    found: dict[str, dict[int, list[Found]]] = {
        name: {size: [] for size in sizes} for name in ("Parley", "bare")
    }
    with start_backend() as backend:
        users = backend.users(largest // POLLS_PER_USER)
        polling = [user for user in users for _ in range(POLLS_PER_USER)]
        for _ in range(ROUNDS):
            for size in sizes:
                some = polling[:size]
                after = backend.query("SELECT head FROM realtime_stream WHERE name = 'feed'") or 0
                found["Parley"][size].append(cost_of(parley(backend), some, after))
                found["bare"][size].append(cost_of(bare(backend), some))
            print(found, flush=True)
    for size in sizes:
        report.rows += rows(size, found)
    report.notes += [
        "Resident memory of the server's process with so many polls, less that before them, per "
        f"poll, in bytes; medians of {ROUNDS} rounds in turn, each with new processes.",
        f"{FIRST_POLLS} polls come and go before: what a process needs once does not count.",
        "Threads are those of the process with all polls, less those before. The time is that from "
        "the request that publishes one post until the last poll of the feed has its answer.",
        f"A poll of Parley is one of {POLLS_PER_USER} of its user, authenticated by a token, and "
        "waits for the user's own stream and the feed. The bare function on the same uvicorn, "
        "protocol class and settings waits for a future.",
    ]
    return report


def bare(backend: Backend) -> AbstractContextManager[Server]:
    """Return the bare function, which is not started yet."""
    return same_uvicorn("bench.bare_polls:application", backend.environment)


def cost_of(
    starting: AbstractContextManager[Server], users: Sequence[User], after: int = 0
) -> Found:
    """Start a server, have it hold a poll of each user, and answer all of them by one event."""
    with starting as server, Polls(server, after) as polls:
        polls.begin(users[:FIRST_POLLS])
        polls.settle()
        polls.leave()
        polls.settle()
        memory, threads = server.resident_bytes(), server.threads()
        polls.begin(users)
        polls.settle()
        memory, threads = server.resident_bytes() - memory, server.threads() - threads
        began = time.monotonic()
        with closing(publishing(server, users[0].token)):
            return Found(memory / len(users), threads, (polls.answered() - began) * 1000)


def publishing(server: Server, token: str) -> HTTPConnection:
    """Publish a post; the bare function sends it as it is."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=WAIT)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = orjson.dumps({**POST, "status": "published"})
    connection.request("POST", "/api/v1/posts", body, headers)
    return connection


def rows(size: int, found: Mapping[str, Mapping[int, Sequence[Found]]]) -> list[dict[str, Any]]:
    """Return the table's rows of one number of polls."""
    made: list[dict[str, Any]] = []
    for name, by_size in found.items():
        rounds = by_size[size]
        memory = [one.bytes_each for one in rounds]
        made.append(
            {
                "polls": size,
                "server": name,
                "bytes per poll": round(median_of(memory)),
                "from..to": spread(memory),
                "threads": max(one.threads for one in rounds),
                "all answered, ms": median_of([one.milliseconds for one in rounds]),
            }
        )
    made[0]["/ bare"] = made[0]["bytes per poll"] / made[1]["bytes per poll"]
    return made
