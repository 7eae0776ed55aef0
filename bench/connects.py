"""How many websockets a process opens per second, and what happens when thousands come back."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench.report import Report, Row, median_of, spread
from bench.servers import Backend, Server, parley, same_uvicorn, start_backend
from bench.sockets import Crowd, allow_open_files
from bench.storm import rows as storm_rows

# How many sockets one turn opens, and how many of them each process is opening at any time.
SOCKETS = 500
AT_ONCE = 100
ROUNDS = 5
# The processes of one server must all have their connections to the database first.
WARMING = 200
CONNECTED = ((b'{"type":"connected"', ""),)

Greeting = Sequence[tuple[bytes, str]]


@dataclass(frozen=True)
class Turn:
    """What one turn measured: sockets per second, and the processor time of the server and of the
    clients for each, in seconds."""

    rate: float
    server: float
    clients: float


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "connects",
        "Websockets opened per second, and a storm of reconnects",
        "at least 0.35 x the bare websockets in one process, and 1.8 x as many in two; after a "
        "storm all have caught up within 10 s, and the p99 of others is at most 2 x as long",
    )
    allow_open_files(20_000)
    with ExitStack() as stack:
        backend = stack.enter_context(start_backend())
        turns = measured_in_turn(backend, stack)
    bare = turns["bare uvicorn"]
    for name, found in turns.items():
        report.rows.append(row(name, found, bare))
    one, two = turns["Parley, one process"], turns["Parley, two processes"]
    report.rows += storm_rows()
    report.notes += [
        f"Medians of {ROUNDS} turns of {SOCKETS} sockets each, of as many users, whose tokens the "
        f"server has not seen before; {AT_ONCE} are being opened at any time on each process, by "
        "one other process on the same cores. A socket of Parley counts once its `connected` has "
        "arrived, a bare one once it is upgraded.",
        "Bare is an ASGI application without Django and Channels on the same uvicorn, protocol "
        "class and settings.",
        "Two processes, the clients and both databases share two cores, so the rate of two "
        "processes is that of the machine. By the processor time of a connect, two processes on "
        f"cores of their own open {2 * cpu(one) / cpu(two):.2f} x as many as one.",
    ]
    return report


def measured_in_turn(backend: Backend, stack: ExitStack) -> Mapping[str, Sequence[Turn]]:
    """Return the turns of each server."""
    bare = stack.enter_context(same_uvicorn("bench.bare_hub:application", backend.environment))
    one = stack.enter_context(parley(backend))
    two = stack.enter_context(parley(backend, "config.settings", "--processes", "2"))
    sides: dict[str, Callable[[int], Turn]] = {
        "bare uvicorn": lambda count: connect(bare, [""] * count, (), AT_ONCE),
        "Parley, one process": lambda count: connect(
            one, tokens(backend, count), CONNECTED, AT_ONCE
        ),
        "Parley, two processes": lambda count: connect(
            two, tokens(backend, count), CONNECTED, 2 * AT_ONCE
        ),
    }
    turns: dict[str, list[Turn]] = {name: [] for name in sides}
    for measure in sides.values():
        measure(WARMING)
    for _ in range(ROUNDS):
        for name, measure in sides.items():
            turns[name].append(measure(SOCKETS))
            print(name, turns[name][-1], flush=True)
    return turns


def tokens(backend: Backend, count: int) -> Sequence[str]:
    """Return the tokens of so many new users."""
    return [user.token for user in backend.users(count)]


def connect(server: Server, tokens: Sequence[str], greeting: Greeting, at_once: int) -> Turn:
    """Open a socket with each token, so many at a time, and close all of them."""
    with Crowd(server.port) as crowd:
        cpu, own = server.cpu_seconds(), time.process_time()
        began = time.perf_counter()
        crowd.join(tokens, greeting, at_once)
        seconds, own = time.perf_counter() - began, time.process_time() - own
        # What the server does after `connected`, it does for the socket too.
        crowd.idle(0.5)
        cpu = server.cpu_seconds() - cpu
    # The sockets that were closed are no work of the next turn.
    time.sleep(1.0)
    return Turn(len(tokens) / seconds, cpu / len(tokens), own / len(tokens))


def row(name: str, turns: Sequence[Turn], bare: Sequence[Turn]) -> Row:
    """Return the row of one server."""
    return {
        "what": name,
        "connects/s": rate(turns),
        "from..to": spread([one.rate for one in turns]),
        "/ bare": rate(turns) / rate(bare),
        "server cpu µs": cpu(turns) * 1e6,
        "bare cpu / cpu": cpu(bare) / cpu(turns),
        "clients cpu µs": median_of([one.clients * 1e6 for one in turns]),
    }


def rate(turns: Sequence[Turn]) -> float:
    """Return the median of the rates."""
    return median_of([one.rate for one in turns])


def cpu(turns: Sequence[Turn]) -> float:
    """Return the median of the server's processor time for a socket, in seconds."""
    return median_of([one.server for one in turns])
