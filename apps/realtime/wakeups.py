"""From a committed change to the sockets of this process and of all others.

The channel layer only says when to look: what it loses, the hubs find in the log.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol, TypedDict
from uuid import UUID

import structlog
from asgiref.sync import async_to_sync
from channels.layers import channel_layers

from apps.realtime.frames import Frame

log = structlog.get_logger(__name__)

GROUP = "hubs"
# What a command or a worker waits for Redis at the most.
SEND_SECONDS = 1.0


class Wakeup(TypedDict):
    """What a process tells the others: packed frames, and the ids of sessions that are over."""

    frames: list[Any]
    ended: list[str]


def channel_layer() -> Any:
    """Return the layer of this installation."""
    return channel_layers["default"]


class Receiver(Protocol):
    """Where the wake-ups of this process go first: its hub."""

    loop: asyncio.AbstractEventLoop

    def take_and_relay(self, wakeup: Wakeup) -> None:
        """Deliver what happened in this process, and tell the others."""


_receivers: list[Receiver] = []


def receive_here(receiver: Receiver) -> None:
    """Have the wake-ups of this process go to the receiver from now on."""
    _receivers[:] = [receiver]


def wake(frames: Iterable[Frame] = (), ended_sessions: Iterable[UUID] = ()) -> None:
    """Hand frames, and the sessions whose sockets must close, to every process.

    May be called from any thread. In a server it neither waits for Redis nor fails with it; a
    process without a hub, such as a command, waits for SEND_SECONDS at the most.
    """
    wakeup: Wakeup = {
        "frames": [frame.packed() for frame in frames],
        "ended": [str(session) for session in ended_sessions],
    }
    for receiver in _receivers:
        if not receiver.loop.is_closed():
            receiver.loop.call_soon_threadsafe(receiver.take_and_relay, wakeup)
            return
    _send_from_outside(wakeup)


def _send_from_outside(wakeup: Wakeup) -> None:
    """Send from a process without a hub."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        try:
            async_to_sync(_send)(wakeup)
        except Exception as error:  # noqa: BLE001
            log.warning("wake-up not sent", error=type(error).__name__)


async def _send(wakeup: Wakeup) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await channel_layer().group_send(GROUP, {"type": "hub.wake", **wakeup})
