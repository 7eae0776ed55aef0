"""Whoever waits for a Redis that hangs leaves a thread to those who need none of it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast
from unittest.mock import AsyncMock, Mock
from uuid import uuid4

import pytest

from apps.core.tests.hanging import Hanging, pool_of, so
from apps.core.threads import BoundedPool
from apps.realtime import commands, handshake, hub, open_socket, threads
from apps.realtime.handshake import admit
from apps.realtime.hub import Hub
from apps.realtime.open_socket import OpenSocket
from apps.realtime.sockets import Identity, PresenceEntry
from apps.realtime.threads import in_thread
from apps.realtime.wire import Wire

THREADS = 3

Asking = Coroutine[Any, Any, Any]


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> BoundedPool:
    made = pool_of(THREADS)
    monkeypatch.setattr(threads, "pool", lambda: made)
    return made


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Hanging:
    """Whatever is asked of Redis."""
    work = Hanging()

    def hang(*_: Any) -> Any:
        work()
        return []

    presence = Mock(enter=hang, leave=hang, refresh=hang)
    for module in (handshake, open_socket, hub):
        monkeypatch.setattr(module, "presence_store", lambda: presence)
    monkeypatch.setattr(hub, "announce_departures", hang)
    monkeypatch.setattr(commands, "audience_of", lambda *_: set())
    monkeypatch.setattr(commands, "presence_of", hang)
    return work


def opening() -> Asking:
    authenticator = Mock(authenticate=lambda _: (Identity(uuid4(), uuid4()), {}))
    return admit({}, Wire({}, AsyncMock(), "one"), authenticator, Mock())


def leaving() -> Asking:
    wire = Wire({}, AsyncMock(), "one")
    return OpenSocket(wire, Mock(), PresenceEntry(uuid4(), uuid4(), "one")).leave()


def showing() -> Asking:
    return cast(Asking, commands.presence(Mock(), {"user_ids": [uuid4()]}))


def departing() -> Asking:
    return Hub(Mock())._announce_departures()


def beating() -> Asking:
    return Hub(Mock())._beat_presence()


@pytest.mark.parametrize("ask", [opening, leaving, showing, departing, beating])
def test_a_message_finds_a_thread_while_redis_hangs(
    pool: BoundedPool, hanging: Hanging, ask: Callable[[], Asking]
) -> None:
    async def scenario() -> None:
        asking = [asyncio.create_task(ask()) for _ in range(THREADS + 2)]
        await so(lambda: hanging.begun + len(pool._turns) == len(asking))
        message = asyncio.create_task(in_thread(str))
        await so(message.done)
        assert hanging.begun == THREADS - 1
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
        hanging.go.set()

    asyncio.run(scenario())
