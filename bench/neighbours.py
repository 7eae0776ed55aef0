"""What everybody else notices of one who misbehaves: reads and deliveries with and without them."""

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

from bench.bystanders import MESSAGES, PAIRS, PATIENCE, READS, Scene, stand_by
from bench.clients import SERVER
from bench.comparing import Measured, Window, row
from bench.misbehaviour import GRACE, KINDS, Kind, misbehave
from bench.report import Report, Row
from bench.servers import Backend, Person, Server, backend, parley
from bench.sockets import allow_open_files
from bench.target import Target

# Of the rounds without a neighbour: about how many, however many with one, and how long each.
QUIET_ROUNDS, QUIET_SECONDS = 4, 4.0
# Until connections, caches and conversations are there, and each process has had its first upkeep.
WARM_SECONDS = 5.0
POSTS, READERS, ACCOUNTS, VICTIMS = 100, 40, 2, 200
# What a process of the benchmark may take to be there, and to end.
START_SECONDS, END_SECONDS = 30.0, 2.0


@dataclass(frozen=True)
class Place:
    """Who is there, the same for all neighbours."""

    behind: Backend
    posts: list[str]
    people: list[Person]
    accounts: list[Person]
    emails: list[str]
    redis_pid: int


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "neighbours",
        "Beside a bad neighbour",
        "reads p99 at most 3 x and deliveries p99 at most 2 x what they are without it, none "
        "failed, memory bounded",
    )
    allow_open_files(4_096)
    with backend(limits={}) as behind:
        place = furnish(behind)
        for kind in KINDS:
            try:
                report.rows.append(beside(kind, place))
            except (OSError, EOFError, RuntimeError) as error:
                # What breaks the servers, or all the people's connections, is told and passed over.
                report.rows.append({"beside": kind.name, "what became of it": f"BROKE: {error!r}"})
            print(report.rows[-1], flush=True)
    report.notes += [
        "Two processes of Parley on one PostgreSQL and one Redis, fresh for each neighbour, with "
        f"the limits that they have by default. {READS} posts are read and {MESSAGES} direct "
        "messages sent a second, at fixed times whatever has come back, by people with addresses "
        "of their own; half of the readers are logged in. A neighbour comes and goes, a few "
        "seconds each time (docs/benchmarks.md says what each does). Times are in milliseconds, "
        "without → with the neighbour, medians of the rounds; in brackets the lowest and the "
        "highest of the rounds with it.",
        "Deliveries are from the sending to the receiver's frame, of pairs that sit on different "
        "processes; of a quarter of the pairs both sit on the same (within one process).",
        f"What was refused, lost or not there after {PATIENCE:.0f} s has failed, and counts as "
        f"{PATIENCE:.0f} s.",
        "Memory is that of the process that grew more: before the first round, at its highest, and "
        "after the last one.",
        "Neighbours, people, both processes and the databases share the cores. Neighbours are held "
        "to a rate, so that what they do is done through Parley: neighbour's core is what their "
        "own process took of one. Late is the p99 of how much later than due the people sent.",
    ]
    return report


def furnish(behind: Backend) -> Place:
    """Make all who take part."""
    people = behind.people(READERS + 2 * PAIRS)
    accounts = behind.people(ACCOUNTS)
    emails = [victim.email for victim in behind.people(VICTIMS)]
    with redis.Redis.from_url(behind.environment["REDIS_URL"]) as client:
        redis_pid = client.info("server")["process_id"]
    return Place(behind, behind.posts(POSTS), people, accounts, emails, redis_pid)


def beside(kind: Kind, place: Place) -> Row:
    """Return the table's row of one kind of neighbour."""
    with parley(place.behind) as one, parley(place.behind) as other:
        servers = (one, other)
        target = Target(
            ports=(one.port, other.port),
            accounts=place.accounts,
            emails=place.emails,
            post=_write_post(one, place.accounts[0], kind.name),
            database_url=place.behind.database_url,
            redis_pid=place.redis_pid,
        )
        scene = Scene(
            ports=target.ports,
            posts=[target.post, *place.posts],
            readers=place.people[:READERS],
            senders=place.people[READERS : READERS + PAIRS],
            receivers=place.people[READERS + PAIRS :],
        )
        try:
            with (
                _process(stand_by, scene) as crowd,
                _process(misbehave, kind.attack, target) as neighbour,
            ):
                _receive(crowd, START_SECONDS)
                measured = _measure(kind, servers, neighbour)
                crowd.send("stop")
                return row(kind.name, measured, _receive(crowd, 3 * PATIENCE))
        finally:
            # Whatever became of the process that froze it.
            os.kill(place.redis_pid, signal.SIGCONT)


def _measure(kind: Kind, servers: Sequence[Server], neighbour: Connection) -> Measured:
    found = Measured()
    time.sleep(WARM_SECONDS)
    before = [_or_nan(server.resident_bytes) for server in servers]
    for _ in range(kind.rounds):
        for _ in range(QUIET_ROUNDS // kind.rounds):
            found.quiet.append(_window(servers, QUIET_SECONDS))
        neighbour.send(kind.seconds)
        found.beside.append(_window(servers, kind.seconds))
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
    """Return a figure of a server that may have died."""
    try:
        return figure()
    except OSError:
        return math.nan


def _write_post(server: Server, author: Person, about: str) -> str:
    body = orjson.dumps({"title": about, "content": "A post to read.", "status": "published"})
    headers = {"Authorization": f"Bearer {author.token}", "Content-Type": "application/json"}
    connection = HTTPConnection(SERVER, server.port, timeout=PATIENCE)
    connection.request("POST", "/api/v1/posts", body, headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    if answer.status != 201:
        raise RuntimeError(f"No post was written: {said.decode()}")
    post: str = orjson.loads(said)["data"]["id"]
    return post


@contextmanager
def _process(work: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """Yield a pipe to a process that does the work, which ends with the block."""
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
    """Return what the process sends; raise TimeoutError when it sends nothing for so long."""
    if not pipe.poll(seconds):
        raise TimeoutError("A process of the benchmark says nothing.")
    return pipe.recv()
