"""The relay notices a connection to Redis that died silently, and does not wait for a Redis that
hangs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock, Mock
from uuid import uuid4

import pytest
from django.db import OperationalError, connection

from apps.accounts.tests.people import Person
from apps.realtime import database_notices, wakeups
from apps.realtime import relay as relay_module
from apps.realtime.broker import EVERYONE, Message
from apps.realtime.controls import DropTag, EndSession, Revoke, pack
from apps.realtime.frames import Wakeup
from apps.realtime.relay import Relay
from apps.realtime.tests.brokers import MemoryBroker
from apps.realtime.tests.test_bad_neighbours import bearer
from apps.realtime.tests.test_losing_nothing import send
from apps.realtime.wakeups import OUTSIDE, messages_of, opened
from testing.proxy import Proxy
from testing.server import ServerProcess, until
from testing.servers import PrivateRedis
from testing.socket import TestSocket

FIRST, SECOND, THIRD, FOURTH = (pack(DropTag(name)) for name in ("a", "b", "c", "d"))


@pytest.fixture
def redis() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


def over_a_silent_link(
    start_server: Callable[..., ServerProcess],
    redis: PrivateRedis,
    alice: Person,
    bob: Person,
    tamper: str,
) -> None:
    """Let the connections to Redis die silently, and return once a message arrives by Redis again.

    The receiving process does not compare heads with the log, so that it learns by Redis only.
    """
    with Proxy(redis.port) as network:
        url = f"redis://127.0.0.1:{network.port}"
        one = start_server(REDIS_URL=url)
        other = start_server(PARLEY_TAMPER=tamper, REDIS_URL=url)
        with TestSocket(other.url, token=bob.access) as bob_socket:
            bob_socket.expect("connected")
            send(one, alice, bob, "before")
            bob_socket.expect("chat_message")
            network.fall_silent()

            def delivered_live() -> bool:
                send(one, alice, bob, "after")
                return any(frame["type"] == "chat_message" for frame in bob_socket.settle())

            until(delivered_live, seconds=8)


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_the_relay_renews_a_connection_that_died_silently(
    start_server: Callable[..., ServerProcess], redis: PrivateRedis, alice: Person, bob: Person
) -> None:
    over_a_silent_link(start_server, redis, alice, bob, "never-heals,fast-relay,without-notices")


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_relay_that_does_not_notice_silence_receives_nothing(
    start_server: Callable[..., ServerProcess], redis: PrivateRedis, alice: Person, bob: Person
) -> None:
    """The test above catches a build without the safeguard."""
    with pytest.raises(AssertionError, match="Not so within"):
        over_a_silent_link(
            start_server, redis, alice, bob, "never-heals,fast-relay,without-notices,never-renews"
        )


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_session_that_ends_while_a_link_is_silent_has_no_socket_once_it_is_renewed(
    start_server: Callable[..., ServerProcess], redis: PrivateRedis, alice: Person
) -> None:
    with Proxy(redis.port) as network:
        one = start_server(REDIS_URL=redis.url)
        other = start_server(
            PARLEY_TAMPER="rare-heartbeats,fast-relay",
            REDIS_URL=f"redis://127.0.0.1:{network.port}",
        )
        with TestSocket(other.url, token=alice.access) as socket:
            socket.expect("connected")
            network.fall_silent()
            one.call("POST", "/api/v1/auth/logout", headers=bearer(alice))
            assert socket.closed_with() == 4501


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_process_without_sockets_does_not_wait_for_a_redis_that_hangs(
    start_server: Callable[..., ServerProcess], redis: PrivateRedis, alice: Person, bob: Person
) -> None:
    server = start_server(REDIS_URL=redis.url)
    redis.freeze()
    try:
        with ThreadPoolExecutor(1) as pool:
            five = pool.submit(send_five, server, alice, bob)
            # Each of them would wait for as long as Redis may take for a step.
            until(five.done, seconds=8)
        five.result()
    finally:
        redis.thaw()


def while_redis_hangs(
    start_server: Callable[..., ServerProcess],
    redis: PrivateRedis,
    alice: Person,
    bob: Person,
    tamper: str,
) -> None:
    """While Redis hangs, send Bob a message and end their session, on another process than that of
    their socket; return when the socket received the message and was closed."""
    one = start_server(PARLEY_TAMPER=tamper, REDIS_URL=redis.url)
    other = start_server(PARLEY_TAMPER=tamper, REDIS_URL=redis.url)
    with TestSocket(other.url, token=bob.access) as bob_socket:
        bob_socket.expect("connected")
        redis.freeze()
        try:
            send(one, alice, bob, "Hello")
            bob_socket.expect("chat_message", seconds=4)
            one.call("POST", "/api/v1/auth/logout", headers=bearer(bob))
            assert bob_socket.closed_with(seconds=4) == 4501
        finally:
            redis.thaw()


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no notices.")
def test_wake_ups_go_through_the_database_while_redis_hangs(
    start_server: Callable[..., ServerProcess], redis: PrivateRedis, alice: Person, bob: Person
) -> None:
    while_redis_hangs(start_server, redis, alice, bob, "never-heals,never-sweeps")


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no notices.")
def test_wake_ups_wait_for_redis_without_database_notices(
    start_server: Callable[..., ServerProcess], redis: PrivateRedis, alice: Person, bob: Person
) -> None:
    """The test above catches a build without the safeguard."""
    tamper = "never-heals,never-sweeps,without-notices"
    with pytest.raises(AssertionError, match="No chat_message"):
        while_redis_hangs(start_server, redis, alice, bob, tamper)


def send_five(server: ServerProcess, alice: Person, bob: Person) -> None:
    for number in range(5):
        send(server, alice, bob, str(number))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch, settings: Any) -> MemoryBroker:
    """The broker of the relays of this test, with or without Redis."""
    made = MemoryBroker()
    settings.REDIS_URL = "redis://memory"
    monkeypatch.setattr(relay_module, "Broker", lambda: made)
    return made


def test_a_wake_up_that_cannot_be_handled_does_not_renew_the_link(broker: MemoryBroker) -> None:
    delivered: list[Any] = []

    def deliver(wakeup: Any) -> None:
        delivered.append(wakeup["controls"])
        if len(delivered) == 1:
            raise ValueError

    async def scenario() -> None:
        async with running(Relay(deliver, ignored, Mock())):
            await wait_until(lambda: bool(broker.opened) and EVERYONE in broker.link.channels)
            first, second = (wakeup_of(control) for control in (FIRST, SECOND))
            await broker.publish(messages_of([first], OUTSIDE))
            await broker.publish([(EVERYONE, b"nonsense")])
            await broker.publish(messages_of([second], OUTSIDE))
            await wait_until(lambda: len(delivered) == 2)
            assert len(broker.opened) == 1

    asyncio.run(scenario())
    assert delivered == [[FIRST], [SECOND]]


def test_the_relay_closes_the_link_that_it_replaces(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "RETRY_SECONDS", 0.0)

    async def scenario() -> None:
        async with running(Relay(ignored, ignored, Mock())):
            for number in range(1, 4):
                await wait_until(lambda: len(broker.opened) == number)  # noqa: B023
                broker.link.put(ConnectionError())
            await wait_until(lambda: len(broker.opened) == 4)
            await wait_until(lambda: EVERYONE in broker.link.channels)
            assert [link.closed for link in broker.opened] == [True, True, True, False]

    asyncio.run(scenario())


class HangingBroker(MemoryBroker):
    """A broker that publishes nothing until the test continues it."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish late."""
        await self.go.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        await super().publish(messages)


def test_only_the_first_wake_up_waits_for_a_redis_that_hangs(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """The next ones go by the database, until Redis takes a message again."""
    notified: list[Any] = []
    settings.REDIS_URL = "redis://memory"

    async def notify(_: Any, wakeups: list[Wakeup]) -> None:
        notified.extend(one["controls"] for one in wakeups)

    monkeypatch.setattr(database_notices, "available", lambda: True)
    monkeypatch.setattr(database_notices, "listen", AsyncMock())
    monkeypatch.setattr(relay_module, "in_thread", notify)
    monkeypatch.setattr(relay_module, "STEP_SECONDS", 0.01)

    async def scenario() -> None:
        broker = HangingBroker()
        monkeypatch.setattr(relay_module, "Broker", lambda: broker)

        def published(control: list[str]) -> bool:
            contents = [content for _, content in broker.published if content]
            return [control] in [opened(content)["controls"] for content in contents]

        async with running(relay := Relay(ignored, ignored, Mock())):
            relay.send(wakeup_of(FIRST))
            await wait_until(lambda: len(notified) == 1)
            for limit in ("FALLBACK_SECONDS", "STEP_SECONDS"):
                monkeypatch.setattr(relay_module, limit, 3600.0)
            relay.send(wakeup_of(SECOND))
            await wait_until(lambda: len(notified) == 2)
            broker.go.set()
            await wait_until(lambda: relay._redis_works)
            for control in (THIRD, FOURTH):
                relay.send(wakeup_of(control))
                await wait_until(lambda: published(control))  # noqa: B023

    asyncio.run(scenario())
    assert notified == [[FIRST], [SECOND]]


def wakeup_of(control: list[str]) -> Wakeup:
    return {"frames": [], "controls": [control]}


def ignored(_: Any) -> None:
    """Do nothing with what was received."""


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    """Have the relay run within the block."""
    relay.start()
    try:
        yield
    finally:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("failure", [ConnectionError(), TimeoutError()])
def test_process_without_a_hub_notifies_the_database_of_what_redis_does_not_take(
    monkeypatch: pytest.MonkeyPatch, settings: Any, failure: Exception
) -> None:
    """Otherwise a user whom a command removes from a group would read on until the next sweep."""
    notified: list[Wakeup] = []
    settings.REDIS_URL = "redis://nowhere"
    monkeypatch.setattr(wakeups, "_receivers", [])
    monkeypatch.setattr(wakeups, "_send", AsyncMock(side_effect=failure))
    monkeypatch.setattr(database_notices, "available", lambda: True)
    monkeypatch.setattr(database_notices, "notify", notified.extend)
    user = uuid4()
    wakeups.wake(controls=[Revoke(user, "conversation.1")])
    assert notified == [{"frames": [], "controls": [["revoke", str(user), "conversation.1"]]}]


def test_process_without_a_hub_goes_on_when_the_database_fails_as_well(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.REDIS_URL = "redis://nowhere"
    monkeypatch.setattr(wakeups, "_receivers", [])
    monkeypatch.setattr(wakeups, "_send", AsyncMock(side_effect=ConnectionError))
    monkeypatch.setattr(database_notices, "available", lambda: True)
    notify = Mock(side_effect=OperationalError)
    monkeypatch.setattr(database_notices, "notify", notify)
    wakeups.wake(controls=[EndSession(uuid4())])
    notify.assert_called_once()
