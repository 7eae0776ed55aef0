"""The relay notices a connection to Redis that died silently, and does not wait for a Redis that
hangs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock, Mock
from uuid import uuid4

import pytest
from channels.layers import InMemoryChannelLayer
from django.db import OperationalError, connection

from apps.accounts.tests.people import Person
from apps.realtime import database_notices, wakeups
from apps.realtime import relay as relay_module
from apps.realtime.controls import EndSession, Revoke
from apps.realtime.frames import Wakeup
from apps.realtime.relay import Relay
from apps.realtime.tests.test_bad_neighbours import bearer
from apps.realtime.tests.test_losing_nothing import send
from apps.realtime.wakeups import GROUP
from testing.proxy import Proxy
from testing.server import ServerProcess, until
from testing.servers import PrivateRedis
from testing.socket import TestSocket


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
def test_a_process_without_sockets_does_not_wait_for_a_redis_that_hangs(
    start_server: Callable[..., ServerProcess], redis: PrivateRedis, alice: Person, bob: Person
) -> None:
    server = start_server(REDIS_URL=redis.url)
    redis.freeze()
    try:
        with ThreadPoolExecutor(1) as pool:
            five = pool.submit(send_five, server, alice, bob)
            # Each of them would wait for as long as a step of the channel layer may take.
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
def layer(monkeypatch: pytest.MonkeyPatch) -> InMemoryChannelLayer:
    made = InMemoryChannelLayer()
    monkeypatch.setattr(relay_module, "channel_layer", lambda: made)
    return made


def test_a_wake_up_that_cannot_be_handled_does_not_renew_the_layer(
    layer: InMemoryChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered: list[Any] = []
    monkeypatch.setattr(layer, "flush", AsyncMock(wraps=layer.flush))

    def deliver(wakeup: Any) -> None:
        delivered.append(wakeup["controls"])
        if len(delivered) == 1:
            raise ValueError

    async def scenario() -> None:
        async with running(Relay(deliver, deliver)):
            await wait_until(lambda: GROUP in layer.groups)
            for mark in ("first", "second"):
                message = {
                    "type": "hub.wake",
                    "origin": "another",
                    "frames": [],
                    "controls": [mark],
                }
                await layer.group_send(GROUP, message)
            await wait_until(lambda: len(delivered) == 2)
            layer.flush.assert_not_called()  # type: ignore[attr-defined]

    asyncio.run(scenario())
    assert delivered == [["first"], ["second"]]


def test_the_relay_leaves_the_channel_that_it_replaces(
    layer: InMemoryChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "RETRY_SECONDS", 0.0)
    used: list[str] = []
    receive = layer.receive

    async def fail_at_first(channel: str) -> Any:
        used.append(channel)
        if len(used) <= 3:
            raise ConnectionError
        return await receive(channel)

    monkeypatch.setattr(layer, "receive", fail_at_first)

    async def scenario() -> None:
        async with running(Relay(ignored, ignored)):
            await wait_until(lambda: len(used) == 4)
            assert list(layer.groups[GROUP]) == used[3:]

    asyncio.run(scenario())


class HangingLayer(InMemoryChannelLayer):
    """A layer that sends nothing until the test continues it."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.sent: list[Any] = []

    async def group_send(self, group: str, message: Any) -> None:
        await self.go.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        self.sent.append(message["controls"])


def test_only_the_first_wake_up_waits_for_a_layer_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next ones go by the database, until the layer takes a message again."""
    notified: list[Any] = []

    async def notify(_: Any, wakeups: list[Wakeup]) -> None:
        notified.extend(one["controls"] for one in wakeups)

    monkeypatch.setattr(database_notices, "available", lambda: True)
    monkeypatch.setattr(database_notices, "listen", AsyncMock())
    monkeypatch.setattr(relay_module, "in_thread", notify)
    monkeypatch.setattr(relay_module, "STEP_SECONDS", 0.01)

    async def scenario() -> None:
        layer = HangingLayer()
        monkeypatch.setattr(relay_module, "channel_layer", lambda: layer)
        async with running(relay := Relay(ignored, ignored)):
            relay.send({"frames": [], "controls": [["first"]]})
            await wait_until(lambda: len(notified) == 1)
            for limit in ("FALLBACK_SECONDS", "STEP_SECONDS"):
                monkeypatch.setattr(relay_module, limit, 3600.0)
            relay.send({"frames": [], "controls": [["second"]]})
            await wait_until(lambda: len(notified) == 2)
            layer.go.set()
            await wait_until(lambda: relay._layer_works)
            relay.send({"frames": [], "controls": [["third"]]})
            await wait_until(lambda: [["third"]] in layer.sent)
            relay.send({"frames": [], "controls": [["fourth"]]})
            await wait_until(lambda: [["fourth"]] in layer.sent)

    asyncio.run(scenario())
    assert notified == [[["first"]], [["second"]]]


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
def test_process_without_a_hub_notifies_the_database_of_what_the_layer_does_not_take(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """Otherwise a user whom a command removes from a group would read on until the next sweep."""
    notified: list[Wakeup] = []
    monkeypatch.setattr(wakeups, "_receivers", [])
    monkeypatch.setattr(
        wakeups, "channel_layer", lambda: Mock(group_send=AsyncMock(side_effect=failure))
    )
    monkeypatch.setattr(database_notices, "available", lambda: True)
    monkeypatch.setattr(database_notices, "notify", notified.extend)
    user = uuid4()
    wakeups.wake(controls=[Revoke(user, "conversation.1")])
    assert notified == [{"frames": [], "controls": [["revoke", str(user), "conversation.1"]]}]


def test_process_without_a_hub_goes_on_when_the_database_fails_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wakeups, "_receivers", [])
    monkeypatch.setattr(
        wakeups, "channel_layer", lambda: Mock(group_send=AsyncMock(side_effect=ConnectionError))
    )
    monkeypatch.setattr(database_notices, "available", lambda: True)
    notify = Mock(side_effect=OperationalError)
    monkeypatch.setattr(database_notices, "notify", notify)
    wakeups.wake(controls=[EndSession(uuid4())])
    notify.assert_called_once()
