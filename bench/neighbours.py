"""How reads and deliveries of all other users change while one client misbehaves."""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import orjson
import redis

from bench.clients import SERVER
from bench.comparing import Measured, Window, row
from bench.misbehaviour import GRACE, KINDS, Kind, misbehave
from bench.observers import MESSAGES, PAIRS, PATIENCE, READS, Scene, observe
from bench.report import Report, Row
from bench.servers import Backend, Server, User, parley, start_backend
from bench.sockets import allow_open_files
from bench.target import Target

# About how many rounds without a neighbour, and the seconds of each.
QUIET_ROUNDS, QUIET_SECONDS = 4, 4.0
# Until connections, caches and conversations exist, and each hub has had its first round of checks.
WARM_SECONDS = 5.0
POSTS, READERS, ACCOUNTS, VICTIMS = 100, 40, 2, 200
# The seconds that a process of the benchmark may take to start, and to end.
START_SECONDS, END_SECONDS = 30.0, 2.0


@dataclass(frozen=True)
class Setup:
    """The users and posts, which are the same for all neighbours."""

    backend: Backend
    posts: list[str]
    users: list[User]
    accounts: list[User]
    emails: list[str]
    redis_pid: int


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "neighbours",
        "With a bad neighbour",
        "reads p99 at most 3 x and deliveries p99 at most 2 x those without the neighbour, none "
        "failed, memory bounded",
    )
    allow_open_files(4_096)
    with start_backend(limits={}) as backend:
        setup = prepare(backend)
        for kind in KINDS:
            try:
                report.rows.append(measure(kind, setup))
            except (OSError, EOFError, RuntimeError) as error:
                # A neighbour that breaks the servers gets a row that says so.
                report.rows.append({"neighbour": kind.name, "outcomes": f"BROKE: {error!r}"})
            print(report.rows[-1], flush=True)
    report.notes += [
        "Two processes of Parley on one PostgreSQL and one Redis, new for each neighbour, with "
        f"their default limits. Users with addresses of their own read {READS} posts and send "
        f"{MESSAGES} direct messages per second, at fixed times whatever has come back; half of "
        "the readers are logged in. A neighbour attacks for a few seconds in each round "
        "(docs/benchmarks.md says what each does). Times are in milliseconds, without → with the "
        "neighbour, medians of the rounds; in brackets the lowest and the highest of the rounds "
        "with it.",
        "Deliveries are from the sending to the receiver's frame, of pairs on different "
        "processes; a quarter of the pairs are on the same one (within one process).",
        f"A request that was refused, lost or not answered after {PATIENCE:.0f} s has failed, and "
        f"counts as {PATIENCE:.0f} s.",
        "Memory is that of the process that grew more: before the first round, at its highest, and "
        "after the last round.",
        "Neighbours, users, both processes and the databases share the cores. Each neighbour has a "
        "bounded rate, so that it does its harm through Parley: neighbour's core is the part of "
        "one core that its own process took. Late is the p99 of how late users sent.",
    ]
    return report


def prepare(backend: Backend) -> Setup:
    """Make the users and posts."""
    users = backend.users(READERS + 2 * PAIRS)
    accounts = backend.users(ACCOUNTS)
    emails = [victim.email for victim in backend.users(VICTIMS)]
    with redis.Redis.from_url(backend.environment["REDIS_URL"]) as client:
        redis_pid = client.info("server")["process_id"]
    return Setup(backend, backend.posts(POSTS), users, accounts, emails, redis_pid)


def measure(kind: Kind, setup: Setup) -> Row:
    """Return the row of the table for one kind of neighbour."""
    with parley(setup.backend) as one, parley(setup.backend) as other:
        servers = (one, other)
        target = Target(
            ports=(one.port, other.port),
            accounts=setup.accounts,
            emails=setup.emails,
            post=_write_post(one, setup.accounts[0], kind.name),
            database_url=setup.backend.database_url,
            redis_pid=setup.redis_pid,
        )
        scene = Scene(
            ports=target.ports,
            posts=[target.post, *setup.posts],
            readers=setup.users[:READERS],
            senders=setup.users[READERS : READERS + PAIRS],
            receivers=setup.users[READERS + PAIRS :],
        )
        try:
            with (
                _process(observe, scene) as crowd,
                _process(misbehave, kind.attack, target) as neighbour,
            ):
                _receive(crowd, START_SECONDS)
                measured = _measure(kind, servers, neighbour)
                crowd.send("stop")
                return row(kind.name, measured, _receive(crowd, 3 * PATIENCE))
        finally:
            # The process that stopped it may have died.
            os.kill(setup.redis_pid, signal.SIGCONT)


def _measure(kind: Kind, servers: Sequence[Server], neighbour: Connection) -> Measured:
    found = Measured()
    time.sleep(WARM_SECONDS)
    before = [_or_nan(server.resident_bytes) for server in servers]
    for _ in range(kind.rounds):
        for _ in range(QUIET_ROUNDS // kind.rounds):
            found.quiet.append(_window(servers, QUIET_SECONDS))
        neighbour.send(kind.seconds)
        found.disturbed.append(_window(servers, kind.seconds))
        found.outcomes.append(_receive(neighbour, 2 * GRACE))
        time.sleep(kind.rest)
    peak = [_or_nan(server.peak_bytes) for server in servers]
    after = [_or_nan(server.resident_bytes) for server in servers]
    found.memory = list(zip(before, peak, after, strict=True))
    return found


def _window(servers: Sequence[Server], seconds: float) -> Window:
    began, used = time.perf_counter(), sum(_or_nan(server.cpu_seconds) for server in servers)
    time.sleep(seconds)
    ended = time.perf_counter()
    used = sum(_or_nan(server.cpu_seconds) for server in servers) - used
    return Window(began, ended, used / (ended - began))


def _or_nan(figure: Callable[[], float]) -> float:
    """Return a figure of a server, nan if it has died."""
    try:
        return figure()
    except OSError:
        return math.nan


def _write_post(server: Server, author: User, about: str) -> str:
    body = orjson.dumps({"title": about, "content": "A post to read.", "status": "published"})
    headers = {"Authorization": f"Bearer {author.token}", "Content-Type": "application/json"}
    connection = HTTPConnection(SERVER, server.port, timeout=PATIENCE)
    connection.request("POST", "/api/v1/posts", body, headers)
    response = connection.getresponse()
    written = response.read()
    connection.close()
    if response.status != 201:
        raise RuntimeError(f"No post was written: {written.decode()}")
    post: str = orjson.loads(written)["data"]["id"]
    return post


@contextmanager
def _process(work: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """Yield a pipe to a process that does the work and ends with the block."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=work, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.join(END_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def _receive(pipe: Connection, seconds: float) -> Any:
    """Return what the process sends; raise TimeoutError if it sends nothing for so long."""
    if not pipe.poll(seconds):
        raise TimeoutError("A process of the benchmark sends nothing.")
    return pipe.recv()
