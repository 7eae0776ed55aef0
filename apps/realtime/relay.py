"""The link from this process's hub to those of the other processes: wake-ups over the channel
layer.

A connection can die unnoticed: a firewall forgets it, or Redis freezes. So the relay also receives
what it sends. Every few seconds it sends at least an empty wake-up, which must come back like those
of the other processes; when nothing was received for a while it drops the layer's connections and
subscribes again (docs/decisions/0017-silent-links.md).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import structlog

from apps.realtime import database_notices
from apps.realtime.background import every, spawn
from apps.realtime.frames import Wakeup
from apps.realtime.sockets import PROCESS
from apps.realtime.threads import in_thread
from apps.realtime.wakeups import GROUP, channel_layer

log = structlog.get_logger(__name__)

PROBE_SECONDS = 2.0
SILENCE_SECONDS = 7.0
# What the layer may take for one step; a Redis that hangs takes for ever.
STEP_SECONDS = 2.0
# What it may take for a message until a database notice is sent as well.
FALLBACK_SECONDS = 0.05
RETRY_SECONDS = 1.0
# While Redis is down, wake-ups beyond these are dropped: the other hubs find them in the log.
UNSENT_WAKEUPS = 1_000
# Redis disconnects subscribers whose unread messages grow beyond its limit, so none is large.
LARGEST_MESSAGE = 256 * 1024
# Characters of two ids and a name.
CONTROL_SIZE = 120


class LayerSilent(Exception):
    """Not even the relay's own wake-ups come back."""


class Relay:
    """Sends what happened here, and calls `deliver` with what happened in other processes.

    `deliver_notice` is called with what came as a database notice. Lives on one event loop.
    """

    def __init__(
        self,
        deliver: Callable[[Wakeup], None],
        deliver_notice: Callable[[database_notices.Notice], None],
    ) -> None:
        self._origin = uuid4().hex
        self._deliver = deliver
        self._deliver_notice = deliver_notice
        self._unsent: deque[Wakeup] = deque(maxlen=UNSENT_WAKEUPS)
        self._something_unsent = asyncio.Event()
        self._received_at = 0.0
        self._sending: asyncio.Task[None] | None = None
        # Whether the layer took the last message that was sent by it.
        self._layer_works = True

    def start(self) -> None:
        """Begin to send and to receive."""
        spawn(self._send_loop())
        spawn(every(RETRY_SECONDS, self._receive))
        if database_notices.available():
            retry = database_notices.RETRY_SECONDS
            spawn(every(retry, database_notices.listen, self._deliver_notice))

    def send(self, wakeup: Wakeup) -> None:
        """Send a wake-up to the other processes, soon."""
        self._unsent.append(wakeup)
        self._something_unsent.set()

    async def _send_loop(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._something_unsent.wait()
            self._something_unsent.clear()
            await self._send(self._next())
            while self._unsent:
                await self._send(self._next())

    def _next(self) -> list[Wakeup]:
        """Return as many of the unsent wake-ups as one message holds. There may be none."""
        wakeups: list[Wakeup] = []
        size = 0
        while self._unsent and size < LARGEST_MESSAGE:
            wakeup = self._unsent.popleft()
            wakeups.append(wakeup)
            size += sum(len(content) for _, _, content, *_ in wakeup["frames"])
            size += CONTROL_SIZE * len(wakeup["controls"])
        return wakeups

    async def _send(self, wakeups: list[Wakeup]) -> None:
        """Send by the layer unless it hangs, and as a database notice what the layer did not take
        in time."""
        if self._sending is None or self._sending.done():
            message = {
                "type": "hub.wake",
                "origin": self._origin,
                "frames": [frame for wakeup in wakeups for frame in wakeup["frames"]],
                "controls": [control for wakeup in wakeups for control in wakeup["controls"]],
            }
            # A layer that failed is tried again without waiting for it.
            seconds = FALLBACK_SECONDS if self._layer_works else 0.0
            self._sending = spawn(self._send_by_layer(message))
            await asyncio.wait(
                {self._sending}, timeout=seconds if database_notices.available() else None
            )
            if self._sending.done() and self._layer_works:
                return
        if wakeups and database_notices.available():
            try:
                await in_thread(database_notices.notify, wakeups)
            except Exception as error:  # noqa: BLE001
                log.warning("database not notified", error=type(error).__name__)

    async def _send_by_layer(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await channel_layer().group_send(GROUP, message)
            self._layer_works = True
        except Exception as error:  # noqa: BLE001
            self._layer_works = False
            frames = len(message["frames"])
            log.warning("wake-up not sent", error=type(error).__name__, frames=frames)

    async def _receive(self) -> None:
        """Subscribe, and receive until the layer fails; log why it did."""
        try:
            await self._subscribe_and_receive()
        except Exception as error:  # noqa: BLE001
            log.warning("channel layer is down", error=type(error).__name__)

    async def _subscribe_and_receive(self) -> None:
        layer = channel_layer()
        receiving = None
        try:
            async with asyncio.timeout(STEP_SECONDS):
                channel = await layer.new_channel(f"{PROCESS}.")
                await layer.group_add(GROUP, channel)
            self._received_at = asyncio.get_running_loop().time()
            receiving = asyncio.create_task(self._receive_from(channel))
            await self._until_silent(receiving)
        finally:
            try:
                # The subscription goes first: a channel that is cancelled while it has one would
                # unsubscribe over the dead connection, and wait for that.
                async with asyncio.timeout(STEP_SECONDS):
                    await layer.flush()
            finally:
                if receiving is not None:
                    receiving.cancel()

    async def _receive_from(self, channel: str) -> None:
        layer = channel_layer()
        while True:
            message = await layer.receive(channel)
            self._received_at = asyncio.get_running_loop().time()
            if message.get("origin") != self._origin:
                self._deliver_safely(message)

    def _deliver_safely(self, message: Any) -> None:
        # A message that cannot be handled is no reason to renew the layer.
        try:
            self._deliver(message)
        except Exception:
            log.exception("wake-up not delivered")

    async def _until_silent(self, receiving: "asyncio.Task[None]") -> None:
        """Return when the task failed, with its error; raise LayerSilent when it receives
        nothing."""
        while not receiving.done():
            await asyncio.wait({receiving}, timeout=PROBE_SECONDS / 2)
            if asyncio.get_running_loop().time() - self._received_at > SILENCE_SECONDS:
                raise LayerSilent
        receiving.result()
