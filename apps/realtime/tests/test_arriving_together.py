"""Clients who arrive at one moment are admitted together, and none of them pays for another."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from apps.accounts.tests.people import Person, set_status
from apps.chat.services import Draft, message_send
from testing.server import ServerProcess, database_url, until
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

Start = Callable[..., ServerProcess]

LOCK_TICKETS = """
    SELECT FROM accounts_websocketticket JOIN accounts_session ON accounts_session.id = session_id
    WHERE user_id = %s FOR UPDATE OF accounts_websocketticket
"""


@dataclass(frozen=True)
class Way:
    """How a client asks for a socket."""

    token: str = ""
    query: str = ""
    headers: Mapping[str, str] | None = None


class Arrivals:
    """Clients who ask for their sockets at one moment."""

    def __init__(self, ways: Sequence[tuple[ServerProcess, Way]]) -> None:
        self._ways = ways

    def outcomes(self) -> list[Any]:
        """Return for each client its first frame's type, or the status or close code that it got
        instead. All sockets stay open until each has its outcome."""
        return asyncio.run(self._arrive())

    async def _arrive(self) -> list[Any]:
        opened: list[ClientConnection] = []
        found = await asyncio.gather(*(self._outcome(*way, opened) for way in self._ways))
        await asyncio.gather(*(one.close() for one in opened))
        return list(found)

    async def _outcome(self, server: ServerProcess, way: Way, opened: list[Any]) -> Any:
        headers = {**({"Authorization": f"Bearer {way.token}"} if way.token else {})}
        headers |= way.headers or {}
        address = f"ws://127.0.0.1:{server.port}/ws{way.query}"
        try:
            socket = await connect(address, additional_headers=headers, open_timeout=30)
        except InvalidStatus as refused:
            return refused.response.status_code
        opened.append(socket)
        try:
            return json.loads(await socket.recv())["type"]
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


def ticket_of(person: Person) -> str:
    ticket: str = person.post("/auth/ws-ticket").json()["data"]["ticket"]
    return ticket


def groups_of(server: ServerProcess) -> list[int]:
    """Return how many were admitted together, each time."""
    return [int(count) for count in re.findall(r"admitted together: (\d+)", server.log.read_text())]


def test_each_of_a_group_has_an_outcome_of_their_own(
    start_server: Start, alice: Person, bob: Person, carol: Person
) -> None:
    server = start_server(PARLEY_TAMPER="gathers-arrivals")
    used = ticket_of(alice)
    TestSocket(server.url, query=f"?ticket={used}").close()
    set_status(carol.user, "suspended")
    ways = [
        (Way(token=alice.access), "connected"),
        (Way(token="nonsense"), 401),
        (Way(query=f"?ticket={ticket_of(bob)}"), "connected"),
        (Way(query=f"?ticket={used}"), 401),
        (Way(query="?ticket=%ff%00"), 401),
        (Way(), 401),
        (Way(token=carol.access), 401),
        (Way(token=alice.access, headers={"Origin": "http://evil.example"}), 403),
        (Way(query=f"?token={bob.access}"), "connected"),
        (Way(token=alice.refresh), 401),
        (Way(token=alice.access), "connected"),
    ]
    outcomes = Arrivals([(server, way) for way, _ in ways]).outcomes()
    assert outcomes == [expected for _, expected in ways]
    assert max(groups_of(server)) > 2


def test_a_handshake_that_cannot_be_read_fails_alone(
    start_server: Start, alice: Person, bob: Person
) -> None:
    """A build in which it fails for the group is caught by this."""

    def outcomes(tampering: str) -> Counter[Any]:
        server = start_server(PARLEY_TAMPER=f"gathers-arrivals,{tampering}")
        bad = Way(token=alice.access, headers={"X-Forwarded-Proto": "breaks"})
        good = [Way(token=one.access) for one in (alice, bob) for _ in range(4)]
        return Counter(Arrivals([(server, way) for way in [*good, bad]]).outcomes())

    assert outcomes("breaks-one") == {"connected": 8, 500: 1}
    assert outcomes("breaks-all")[500] > 1


def test_a_ticket_opens_one_socket_however_often_it_is_sent_at_once(
    start_once: Start, alice: Person
) -> None:
    server = start_once(PARLEY_TAMPER="gathers-arrivals")
    other = start_once(1, PARLEY_TAMPER="gathers-arrivals") if settings.REDIS_URL else server
    way = Way(query=f"?ticket={ticket_of(alice)}")
    outcomes = Arrivals([(one, way) for one in (server, other) for _ in range(8)]).outcomes()
    assert Counter(outcomes) == {"connected": 1, 401: 15}


def test_a_user_has_ten_sockets_however_many_arrive_at_once(
    start_once: Start, alice: Person, bob: Person
) -> None:
    server = start_once(PARLEY_TAMPER="gathers-arrivals")
    other = start_once(1, PARLEY_TAMPER="gathers-arrivals") if settings.REDIS_URL else server
    hers = [(one, Way(token=alice.access)) for one in (server, other) for _ in range(12)]
    outcomes = Arrivals([*hers, (server, Way(token=bob.access))]).outcomes()
    assert Counter(outcomes[:-1]) == {"connected": 10, 4502: 14}
    assert outcomes[-1] == "connected"


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks no rows.")
def test_a_ticket_that_is_locked_delays_no_other_of_its_group(
    start_server: Start, alice: Person, bob: Person, carol: Person
) -> None:
    """A build that waits for all locks together is caught by this."""

    def admitted_meanwhile(tampering: str) -> bool:
        server = start_server(PARLEY_TAMPER=f"gathers-arrivals{tampering}")
        locked, free = ticket_of(alice), ticket_of(bob)

        async def scenario() -> bool:
            # While Carol is admitted the others gather.
            ahead = Arrivals([(server, Way(token=carol.access))])
            first = asyncio.create_task(ahead._arrive())
            await asyncio.to_thread(until, lambda: groups_of(server) == [1])
            ways = [(server, Way(query=f"?ticket={one}")) for one in (locked, free)]
            hers, his = (asyncio.create_task(Arrivals([way])._arrive()) for way in ways)
            done, _ = await asyncio.wait({his}, timeout=2)
            waits = not hers.done()
            locker.rollback()
            assert [await hers, await his] == [["connected"], ["connected"]]
            assert waits
            await first
            return bool(done)

        with psycopg.connect(database_url()) as locker:
            locker.execute(LOCK_TICKETS, [alice.user.pk])
            return asyncio.run(scenario())

    assert admitted_meanwhile("")
    assert not admitted_meanwhile(",waits-for-all-locks")


def test_a_session_that_ends_during_the_handshake_has_no_socket(
    start_server: Start, alice: Person, bob: Person
) -> None:
    server = start_server(PARLEY_TAMPER="slow-starts")

    async def scenario() -> Any:
        hers = asyncio.create_task(Arrivals([(server, Way(token=alice.access))])._arrive())
        his = asyncio.create_task(Arrivals([(server, Way(token=bob.access))])._arrive())
        headers = {"Authorization": f"Bearer {alice.access}"}
        await asyncio.to_thread(until, lambda: server.open_sockets() == 2)
        await asyncio.to_thread(server.call, "POST", "/api/v1/auth/logout", headers=headers)
        return [await hers, await his]

    assert asyncio.run(scenario()) == [[4501], ["connected"]]


def test_each_socket_has_its_lines_in_the_log(start_server: Start, alice: Person) -> None:
    server = start_server(PARLEY_TAMPER="gathers-arrivals", LOG_FORMAT="json", LOG_LEVEL="info")
    ways = [Way(token=alice.access, headers={"X-Request-ID": f"r{number}"}) for number in range(8)]
    Arrivals([(server, way) for way in [*ways, Way(headers={"X-Request-ID": "none"})]]).outcomes()
    until(lambda: server.open_sockets() == 0)
    server.stop()
    lines = list(socket_lines(server.log.read_text().splitlines()))
    connected = [line for line in lines if line["event"] == "connected"]
    assert sorted(line["request_id"] for line in connected) == [f"r{n}" for n in range(8)]
    assert {line["user_id"] for line in connected} == {alice.id}
    left = [line["socket_id"] for line in lines if line["event"] == "disconnected"]
    assert sorted(left) == sorted(line["socket_id"] for line in connected)
    [refused] = [line for line in lines if line["event"] == "refused"]
    assert (refused["request_id"], refused["status"]) == ("none", 401)


def test_users_who_come_and_go_together_are_announced_one_by_one(
    start_server: Start, alice: Person, bob: Person, carol: Person
) -> None:
    for other in (bob, carol):
        message_send(Draft(alice.user.pk, other.user.pk, "Hello"))
    server = start_server(PARLEY_TAMPER="hurried,brief-grace,gathers-arrivals")
    with TestSocket(server.url, token=alice.access) as hers:
        hers.expect("connected")
        ways = [Way(token=one.access) for one in (bob, carol) for _ in range(3)]
        assert set(Arrivals([(server, way) for way in ways]).outcomes()) == {"connected"}
        for kind in ("user_online", "user_offline"):
            told = {hers.expect(kind)["data"]["userId"] for _ in range(2)}
            assert told == {bob.id, carol.id}
        assert [frame for frame in hers.settle() if frame["type"].startswith("user_")] == []


def socket_lines(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        if line.startswith("{") and '"parley.socket"' in line:
            yield json.loads(line)
