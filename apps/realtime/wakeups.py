"""From a committed change to the sockets of this process and of all others.

The channel layer only says when to look: what it loses, the hubs find in the log.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol, TypedDict

import structlog
from asgiref.sync import async_to_sync
from channels.layers import channel_layers

from apps.realtime.controls import Control, pack
from apps.realtime.frames import Frame

log = structlog.get_logger(__name__)

GROUP = "hubs"
# What a command or a worker waits for Redis at the most.
SEND_SECONDS = 1.0


class Wakeup(TypedDict):
    """What a process tells the others: frames and controls, packed."""

    frames: list[Any]
    controls: list[Any]


def channel_layer() -> Any:
    """Return the layer of this installation."""
    return channel_layers["default"]


class Receiver(Protocol):
    """Where the wake-ups of this process go first: its hub."""

    loop: asyncio.AbstractEventLoop

    def deliver_and_relay(self, wakeup: Wakeup) -> None:
        """Deliver what happened in this process, and tell the others."""


_receivers: list[Receiver] = []


def receive_here(receiver: Receiver) -> None:
    """Have the wake-ups of this process go to the receiver from now on."""
    _receivers[:] = [receiver]


def wake(frames: Iterable[Frame] = (), controls: Iterable[Control] = ()) -> None:
    """Hand frames, and what to do with sockets, to every process.

    May be called from any thread. In a server it neither waits for Redis nor fails with it; a
    process without a hub, such as a command, waits for SEND_SECONDS at the most.
    """
    wakeup: Wakeup = {
        "frames": [frame.packed() for frame in frames],
        "controls": [pack(control) for control in controls],
    }
    for receiver in _receivers:
        if not receiver.loop.is_closed():
            receiver.loop.call_soon_threadsafe(receiver.deliver_and_relay, wakeup)
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
