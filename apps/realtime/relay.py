"""The link from this process's hub to those of the others: wake-ups over the channel layer.

A connection can die without a word: a firewall forgets it, or Redis freezes. So the relay listens
for itself. Every few seconds it sends at least an empty wake-up, which must come back to it like
those of the others; when nothing has come for a while it drops the layer's connections and
subscribes anew (docs/decisions/0017-silent-links.md).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from uuid import uuid4

import structlog

from apps.realtime import database_notices
from apps.realtime.sockets import PROCESS
from apps.realtime.threads import in_thread
from apps.realtime.wakeups import GROUP, Wakeup, channel_layer

log = structlog.get_logger(__name__)

PROBE_SECONDS = 2.0
SILENCE_SECONDS = 7.0
# What the layer may take for one step; a Redis that hangs takes for ever.
STEP_SECONDS = 2.0
# What it may take until the second way is used beside it.
PATIENCE_SECONDS = 0.05
RETRY_SECONDS = 1.0
# While Redis is away, wake-ups beyond these are dropped: the other hubs will find them in the log.
UNSENT_WAKEUPS = 1_000
# Redis hangs up on subscribers whose unread messages grow beyond its limit, so none is large.
LARGEST_MESSAGE = 256 * 1024
# Two ids and a few words.
CONTROL_SIZE = 120

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class LayerSilent(Exception):
    """Not even the relay's own wake-ups come back."""


class Relay:
    """Sends what happened here, and hands what happened elsewhere to `take`. Lives on one loop.

    `receive_notice` is handed what came by the second way.
    """

    def __init__(
        self,
        take: Callable[[Wakeup], None],
        receive_notice: Callable[[database_notices.Notice], None],
    ) -> None:
        self._origin = uuid4().hex
        self._take = take
        self._take_look = receive_notice
        self._unsent: deque[Wakeup] = deque(maxlen=UNSENT_WAKEUPS)
        self._something_unsent = asyncio.Event()
        self._heard_at = 0.0
        self._spawn: Spawn = asyncio.get_running_loop().create_task
        self._sending: asyncio.Task[None] | None = None
        # Whether the last message that was sent by the layer was taken.
        self._layer_takes = True

    def start(self, spawn: Spawn) -> None:
        """Begin to send and to hear."""
        self._spawn = spawn
        spawn(self._send_loop())
        spawn(self._receive_loop())
        if database_notices.available():
            spawn(database_notices.listen(self._take_look))

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
        """Return as much of what waits as goes into one message. It may be nothing."""
        wakeups: list[Wakeup] = []
        size = 0
        while self._unsent and size < LARGEST_MESSAGE:
            wakeup = self._unsent.popleft()
            wakeups.append(wakeup)
            size += sum(len(content) for _, _, content, *_ in wakeup["frames"])
            size += CONTROL_SIZE * len(wakeup["controls"])
        return wakeups

    async def _send(self, wakeups: list[Wakeup]) -> None:
        """Send by the layer, unless that is stuck, and by the second way what it does not take."""
        if self._sending is None or self._sending.done():
            message = {
                "type": "hub.wake",
                "origin": self._origin,
                "frames": [frame for wakeup in wakeups for frame in wakeup["frames"]],
                "controls": [control for wakeup in wakeups for control in wakeup["controls"]],
            }
            # Nobody waits to see whether a layer that has failed works again.
            patience = PATIENCE_SECONDS if self._layer_takes else 0.0
            self._sending = self._spawn(self._send_by_layer(message))
            await asyncio.wait(
                {self._sending}, timeout=patience if database_notices.available() else None
            )
            if self._sending.done() and self._layer_takes:
                return
        if wakeups and database_notices.available():
            try:
                await in_thread(database_notices.notify, wakeups)
            except Exception as error:  # noqa: BLE001
                log.warning("wake-up not told", error=type(error).__name__)

    async def _send_by_layer(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await channel_layer().group_send(GROUP, message)
            self._layer_takes = True
        except Exception as error:  # noqa: BLE001
            self._layer_takes = False
            frames = len(message["frames"])
            log.warning("wake-up not sent", error=type(error).__name__, frames=frames)

    async def _receive_loop(self) -> None:
        while True:
            try:
                await self._receive_once()
            except Exception as error:  # noqa: BLE001
                log.warning("channel layer is down", error=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    async def _receive_once(self) -> None:
        """Subscribe, and hear until nothing comes any more."""
        layer = channel_layer()
        hearing = None
        try:
            async with asyncio.timeout(STEP_SECONDS):
                channel = await layer.new_channel(f"{PROCESS}.")
                await layer.group_add(GROUP, channel)
            self._heard_at = asyncio.get_running_loop().time()
            hearing = self._spawn(self._receive_from(channel))
            await self._until_silent(hearing)
        finally:
            try:
                # The subscription goes first: a channel that is cancelled while it has one would
                # unsubscribe over the dead connection, and wait for that.
                async with asyncio.timeout(STEP_SECONDS):
                    await layer.flush()
            finally:
                if hearing is not None:
                    hearing.cancel()

    async def _receive_from(self, channel: str) -> None:
        layer = channel_layer()
        while True:
            message = await layer.receive(channel)
            self._heard_at = asyncio.get_running_loop().time()
            if message.get("origin") != self._origin:
                self._take_safely(message)

    def _take_safely(self, message: Any) -> None:
        # What cannot be handled is no fault of the layer, which would be renewed for it.
        try:
            self._take(message)
        except Exception:
            log.exception("wake-up not taken")

    async def _until_silent(self, hearing: "asyncio.Task[None]") -> None:
        """Return when the task has failed, with its error; raise LayerSilent when it hears
        nothing."""
        while not hearing.done():
            await asyncio.wait({hearing}, timeout=PROBE_SECONDS / 2)
            if asyncio.get_running_loop().time() - self._heard_at > SILENCE_SECONDS:
                raise LayerSilent
        hearing.result()
