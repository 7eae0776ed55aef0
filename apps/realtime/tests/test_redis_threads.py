"""Work that waits for a Redis that hangs leaves a thread to work that needs no Redis."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast
from unittest.mock import AsyncMock, Mock
from uuid import uuid4

import pytest

from apps.core.tests.hanging import HangingWork, pool_of, wait_until
from apps.core.threads import BoundedPool
from apps.realtime import admission, commands, hub, threads
from apps.realtime.handshake import perform_handshake
from apps.realtime.hub import Hub
from apps.realtime.open_socket import OpenSocket
from apps.realtime.registry import Authenticated
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
def hanging(monkeypatch: pytest.MonkeyPatch) -> HangingWork:
    """Every call to Redis hangs."""
    work = HangingWork()

    def hang(*_: Any) -> Any:
        work()
        return []

    presence = Mock(arrive=hang, leave=hang, refresh=hang)
    for module in (admission, hub):
        monkeypatch.setattr(module, "presence_store", lambda: presence)
    monkeypatch.setattr(hub, "announce_departures", hang)
    monkeypatch.setattr(commands, "visible_to", lambda *_: set())
    monkeypatch.setattr(commands, "presence_of", hang)
    return work


def authenticate(scopes: Sequence[Any], *, wait: bool) -> list[Authenticated]:
    return [Authenticated(Identity(uuid4(), uuid4()), {}) for _ in scopes]


def handshake_of_a_socket() -> Asking:
    scope: dict[str, Any] = {"headers": []}
    hub = Hub(Mock(authenticate=authenticate))
    return perform_handshake(scope, Wire(scope, AsyncMock(), "one"), hub)


def leave_of_a_socket() -> Asking:
    wire = Wire({"headers": []}, AsyncMock(), "one")
    return OpenSocket(wire, Hub(Mock()), PresenceEntry(uuid4(), uuid4(), "one")).leave()


def presence_command() -> Asking:
    return cast(Asking, commands.presence(Mock(), {"user_ids": [uuid4()]}))


def announcement_of_departures() -> Asking:
    return Hub(Mock())._announce_departures()


def refresh_of_presence() -> Asking:
    return Hub(Mock())._refresh_presence()


@pytest.mark.parametrize(
    "ask",
    [
        handshake_of_a_socket,
        leave_of_a_socket,
        presence_command,
        announcement_of_departures,
        refresh_of_presence,
    ],
)
def test_a_message_finds_a_thread_while_redis_hangs(
    pool: BoundedPool, hanging: HangingWork, ask: Callable[[], Asking]
) -> None:
    async def scenario() -> None:
        asking = [asyncio.create_task(ask()) for _ in range(THREADS + 2)]
        await wait_until(lambda: hanging.begun + len(pool._turns) == len(asking))
        message = asyncio.create_task(in_thread(str))
        await wait_until(message.done)
        assert hanging.begun == THREADS - 1
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
        hanging.go.set()

    asyncio.run(scenario())
