"""From a committed change to the sockets of this process and of all others.

The channel layer may lose a wake-up: the hubs find its events in the log.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

import structlog
from asgiref.sync import async_to_sync
from channels.layers import channel_layers

from apps.realtime import database_notices
from apps.realtime.controls import Control, pack
from apps.realtime.frames import Frame, Wakeup

log = structlog.get_logger(__name__)

GROUP = "hubs"
# How long a command or a worker waits for Redis at most.
SEND_SECONDS = 1.0


def channel_layer() -> Any:
    """Return the layer of this installation."""
    return channel_layers["default"]


class Receiver(Protocol):
    """What receives the wake-ups of this process first: its hub."""

    loop: asyncio.AbstractEventLoop

    def deliver_and_relay(self, wakeup: Wakeup) -> None:
        """Deliver what happened in this process, and send it to the other processes."""


_receivers: list[Receiver] = []


def receive_here(receiver: Receiver) -> None:
    """Make the receiver the one that receives the wake-ups of this process."""
    _receivers[:] = [receiver]


def wake(frames: Iterable[Frame] = (), controls: Iterable[Control] = ()) -> None:
    """Send frames and controls to every process.

    May be called from any thread. In a server it neither waits for Redis nor fails with it; a
    process without a hub, such as a command, waits for SEND_SECONDS at most.
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
            _notify(wakeup)


def _notify(wakeup: Wakeup) -> None:
    """Send what the layer did not take as database notices, so that a user whom a command removes
    from a group receives nothing more, with or without Redis."""
    if database_notices.available():
        try:
            database_notices.notify([wakeup])
        except Exception as error:  # noqa: BLE001
            log.warning("database not notified", error=type(error).__name__)


async def _send(wakeup: Wakeup) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await channel_layer().group_send(GROUP, {"type": "hub.wake", **wakeup})
