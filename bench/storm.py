"""Thousands of sockets that drop at once and come back, and deliveries to others meanwhile."""

import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from multiprocessing.synchronize import Event
from typing import Any

from bench.report import Row, percentile
from bench.servers import Backend, Server, User, parley, start_backend
from bench.sockets import Crowd

SOCKETS = 5_000
MISSED = 20
AT_ONCE = 1_000
CALM_SECONDS = 10.0
DROP_SECONDS = 10.0
SETTLE_SECONDS = 3.0
LONGEST = 60.0
# Who receives events all the time, and the messages to them in a second. A user may write ten.
OTHERS = 20
RATE = 20
CONNECTED = b'{"type":"connected"'
SENT = b'{"type":"chat_message"'
MISS = """
    WITH told AS (
        INSERT INTO realtime_stream (name, head, epoch)
        SELECT 'user.' || id, {missed}, 'bench' FROM accounts_user WHERE email = ANY('{emails}')
        ON CONFLICT (name) DO UPDATE SET head = realtime_stream.head + excluded.head
        RETURNING name, head
    ), logged AS (
        INSERT INTO realtime_event (stream, seq, type, data, size, subject, created_at)
        SELECT name, head - {missed} + number, 'chat_delete',
            jsonb_build_object('messageId', gen_random_uuid(), 'senderId', gen_random_uuid(),
                'receiverId', gen_random_uuid()), 300, NULL, now()
        FROM told, generate_series(1, {missed}) AS number RETURNING 1
    )
    SELECT count(*) FROM logged
"""


@dataclass(frozen=True)
class Phase:
    """A part of the run, by time.perf_counter(), and the processor time of the server in it."""

    name: str
    begin: float
    end: float
    cpu: float


def rows() -> Sequence[Row]:
    """Return the rows of the table."""
    with ExitStack() as stack:
        backend = stack.enter_context(start_backend())
        server = stack.enter_context(parley(backend))
        users = backend.users(SOCKETS)
        latencies, stop = multiprocessing.Queue(), multiprocessing.Event()  # type: ignore[var-annotated]
        others = multiprocessing.Process(
            target=deliver, args=(server, backend.users(2 * OTHERS), latencies, stop)
        )
        others.start()
        try:
            phases = storm(backend, server, users)
            stop.set()
            found: list[tuple[float, float]] = latencies.get(timeout=LONGEST)
        finally:
            others.kill()
    calm: float | None = None
    made: list[Row] = []
    for phase in phases:
        of_phase = [seconds for at, seconds in found if phase.begin <= at < phase.end]
        p99 = percentile(of_phase, 0.99) * 1000
        calm = calm or p99
        made.append(
            {
                "what": phase.name,
                "sockets": SOCKETS,
                "seconds": phase.end - phase.begin,
                "server cpu s": phase.cpu,
                "others' deliveries": len(of_phase),
                "p50 ms": percentile(of_phase, 0.5) * 1000,
                "p99 ms": p99,
                "p99 / calm": p99 / calm,
            }
        )
    return made


def storm(backend: Backend, server: Server, users: Sequence[User]) -> list[Phase]:
    """Return the parts of the run. The last one ends when all have caught up."""
    phases = []

    def phase(name: str, work: Callable[[], object]) -> None:
        began, cpu = time.perf_counter(), server.cpu_seconds()
        work()
        phases.append(Phase(name, began, time.perf_counter(), server.cpu_seconds() - cpu))

    with Crowd(server.port) as crowd:
        crowd.join([user.token for user in users], ((CONNECTED, ""),), AT_ONCE)
        phase("calm", lambda: crowd.idle(CALM_SECONDS))
        phase("all drop", lambda: drop(crowd))
    emails = "{" + ",".join(user.email for user in users) + "}"
    logged = backend.query(MISS.format(missed=MISSED, emails=emails))
    if logged != MISSED * len(users):
        raise RuntimeError(f"{logged} events were logged.")
    time.sleep(SETTLE_SECONDS)
    with Crowd(server.port) as crowd:
        phase("all come back", lambda: come_back(crowd, users))
    return phases


def drop(crowd: Crowd) -> None:
    """Close all sockets at once, and wait until the server has told others."""
    crowd.leave()
    time.sleep(DROP_SECONDS)


def come_back(crowd: Crowd, users: Sequence[User]) -> None:
    """Open all sockets at once, and return when each has received what it missed."""
    crowd.join_each([(user.token, catching_up(user)) for user in users], AT_ONCE)


def catching_up(user: User) -> list[tuple[bytes, str]]:
    """Return how the socket of a user begins who has missed events."""
    data = {"stream": f"user.{user.id}", "after": 0}
    return [
        (CONNECTED, json.dumps({"type": "subscribe", "data": data})),
        (b'{"type":"subscribed"', ""),
        *[(b'{"type":"chat_delete"', "")] * MISSED,
    ]


def deliver(server: Server, users: Sequence[User], latencies: Any, stop: Event) -> None:
    """Have half of the users write to the other half, RATE messages a second; put when each was
    sent, and how long it took."""
    senders, receivers = users[:OTHERS], users[OTHERS:]
    found: list[tuple[float, float]] = []
    with Crowd(server.port) as crowd:
        crowd.join([user.token for user in receivers], ((CONNECTED, ""),))
        connection = HTTPConnection("127.0.0.1", server.port, timeout=LONGEST)
        number = 0
        due = time.perf_counter()
        while not stop.is_set():
            due += 1 / RATE
            sender, receiver = senders[number % OTHERS], receivers[number % OTHERS]
            number += 1
            body = json.dumps({"receiverId": receiver.id, "content": "Are you there?"})
            headers = {
                "Authorization": f"Bearer {sender.token}",
                "Content-Type": "application/json",
            }
            sent = time.perf_counter()
            connection.request("POST", "/api/v1/messages", body, headers)
            arrived = False
            while not arrived and time.perf_counter() < sent + LONGEST:
                arrived = any(text.startswith(SENT) for _, text in crowd.poll(1))
            found.append((sent, time.perf_counter() - sent))
            response = connection.getresponse()
            response.read()
            if response.status != 201:
                raise RuntimeError(f"A message was answered by {response.status}.")
            crowd.idle(max(0.001, due - time.perf_counter()))
        latencies.put(found)
