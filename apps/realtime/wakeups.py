"""From a committed change to the sockets of this process and of all others.

Redis may lose a wake-up: the hubs find its events in the log.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

import structlog
from asgiref.sync import async_to_sync
from channels_redis.serializers import registry
from django.conf import settings

from apps.realtime import database_notices
from apps.realtime.broker import EVERYONE, Broker, Message, channel_of
from apps.realtime.controls import Control, pack, user_of
from apps.realtime.frames import Frame, Wakeup
from apps.realtime.streams import USER

log = structlog.get_logger(__name__)

# How long a command or a worker waits for Redis at most.
SEND_SECONDS = 1.0
# Each message begins with so many bytes that tell a process its own messages from those of others.
ORIGIN_SIZE = 16
OUTSIDE = bytes(ORIGIN_SIZE)
# That of the channel layer.
ENCODING = registry.get_serializer("msgpack")


class Receiver(Protocol):
    """What receives the wake-ups of this process first: its hub."""

    loop: asyncio.AbstractEventLoop

    def deliver_and_relay(self, wakeup: Wakeup) -> None:
        """Deliver what happened in this process, and send it to the other processes."""


_receivers: list[Receiver] = []


def receive_here(receiver: Receiver) -> None:
    """Make the receiver the one that receives the wake-ups of this process."""
    _receivers[:] = [receiver]


def messages_of(wakeups: Iterable[Wakeup], origin: bytes) -> list[Message]:
    """Return what is to be published, and on which channels, in this order.

    A frame goes to the hubs with subscribers of its stream, a control about a user to the hubs with
    sockets of that user, and any other control to all. The frames of a stream go together, but none
    overtakes a control: a user who was removed from a group receives nothing more.
    """
    messages: list[Message] = []
    frames: defaultdict[str, list[Any]] = defaultdict(list)
    controls: defaultdict[str, list[Any]] = defaultdict(list)

    def close() -> None:
        messages.extend((channel, _sealed(origin, some, [])) for channel, some in frames.items())
        messages.extend((channel, _sealed(origin, [], some)) for channel, some in controls.items())
        frames.clear()
        controls.clear()

    for wakeup in wakeups:
        if wakeup["frames"] and controls:
            close()
        for frame in wakeup["frames"]:
            frames[channel_of(frame[0])].append(frame)
        for control in wakeup["controls"]:
            user = user_of(control)
            controls[channel_of(USER.name(user)) if user else EVERYONE].append(control)
    close()
    return messages


def _sealed(origin: bytes, frames: Sequence[Any], controls: Sequence[Any]) -> bytes:
    return origin + cast("bytes", ENCODING.serialize([frames, controls]))


def opened(content: bytes) -> Wakeup:
    """Return what messages_of() put into one message."""
    frames, controls = ENCODING.deserialize(content[ORIGIN_SIZE:])
    return {"frames": frames, "controls": controls}


def wake(frames: Iterable[Frame] = (), controls: Iterable[Control] = ()) -> None:
    """Send frames and controls to the processes that they concern.

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
    if not settings.REDIS_URL:
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        try:
            async_to_sync(_send)(wakeup)
        except Exception as error:  # noqa: BLE001
            log.warning("wake-up not sent", error=type(error).__name__)
            _notify(wakeup)


def _notify(wakeup: Wakeup) -> None:
    """Send what Redis did not take as database notices, so that a user whom a command removes
    from a group receives nothing more, with or without Redis."""
    if database_notices.available():
        try:
            database_notices.notify([wakeup])
        except Exception as error:  # noqa: BLE001
            log.warning("database not notified", error=type(error).__name__)


async def _send(wakeup: Wakeup) -> None:
    broker = Broker()
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await broker.publish(messages_of([wakeup], OUTSIDE))
    finally:
        await broker.close()
