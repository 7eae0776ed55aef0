"""The link from this process's hub to those of the other processes: wake-ups over Redis.

A connection can die unnoticed: a firewall forgets it, or Redis freezes. So every few seconds the
relay sends a probe to itself, which must come back the way that wake-ups take; when nothing was
received for a while it connects and subscribes again (docs/decisions/0017-silent-links.md).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from uuid import uuid4

import structlog
from django.conf import settings

from apps.realtime import database_notices
from apps.realtime.background import every, spawn
from apps.realtime.broker import Broker, Message, channel_of
from apps.realtime.frames import Wakeup
from apps.realtime.listener import PROBE_SECONDS, STEP_SECONDS, Listener
from apps.realtime.threads import in_thread
from apps.realtime.wakeups import ORIGIN_SIZE, messages_of, opened

log = structlog.get_logger(__name__)

# How long Redis may take for a message until a database notice is sent as well.
FALLBACK_SECONDS = 0.05
RETRY_SECONDS = 1.0
# While Redis is down, wake-ups beyond these are dropped: the other hubs find them in the log.
UNSENT_WAKEUPS = 1_000
# Redis disconnects subscribers whose unread messages grow beyond its limit, so no batch is large.
LARGEST_BATCH = 256 * 1024
# Characters of two ids and a name.
CONTROL_SIZE = 120


class Relay:
    """Sends what happened here, and calls `deliver` with what happened in other processes and
    concerns this one.

    `deliver_notice` is called with what came as a database notice, and `renewed` when wake-ups are
    received again after some may have been lost. Lives on one event loop.
    """

    def __init__(
        self,
        deliver: Callable[[Wakeup], None],
        deliver_notice: Callable[[database_notices.Notice], None],
        renewed: Callable[[], None],
    ) -> None:
        self._origin = uuid4().bytes
        self._deliver = deliver
        self._deliver_notice = deliver_notice
        self._unsent: deque[Wakeup] = deque(maxlen=UNSENT_WAKEUPS)
        self._something_unsent = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        # Whether Redis took the last message.
        self._redis_works = True
        # Without Redis the other processes, if there are any, find in the log what happened here.
        self._broker = Broker() if settings.REDIS_URL else None
        self._listener = Listener(self._broker, self._receive, renewed) if self._broker else None

    def start(self) -> None:
        """Begin to send and to receive."""
        if self._broker and self._listener:
            spawn(self._send_loop(self._broker, self._listener))
            spawn(every(0, self._receive_by, self._listener))
        if database_notices.available():
            retry = database_notices.RETRY_SECONDS
            spawn(every(retry, database_notices.listen, self._deliver_notice))

    def send(self, wakeup: Wakeup) -> None:
        """Send a wake-up to the processes that it concerns, soon."""
        if self._broker:
            self._unsent.append(wakeup)
            self._something_unsent.set()

    async def listen(self, streams: Collection[str]) -> list[str]:
        """Return once this process receives what happens on the streams, and those of them that it
        did not receive before; see Listener.listen."""
        if self._listener is None:
            return []
        late = await self._listener.listen({channel_of(stream) for stream in streams})
        return [stream for stream in streams if channel_of(stream) in late]

    def leave_idle(self, needed: Collection[str]) -> None:
        """Leave the streams that are not needed; see Listener.leave_idle."""
        if self._listener:
            self._listener.leave_idle({channel_of(stream) for stream in needed})

    async def _receive_by(self, listener: Listener) -> None:
        """Receive until a link fails, and return when it may be renewed: at once if it had worked
        for a while, since what is published meanwhile is lost."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await listener.run()
        await asyncio.sleep(max(0.0, RETRY_SECONDS - (loop.time() - began)))

    async def _send_loop(self, broker: Broker, listener: Listener) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._something_unsent.wait()
            self._something_unsent.clear()
            await self._send(broker, listener, self._next())
            while self._unsent:
                await self._send(broker, listener, self._next())

    def _next(self) -> list[Wakeup]:
        """Return as many of the unsent wake-ups as one batch holds. There may be none."""
        wakeups: list[Wakeup] = []
        size = 0
        while self._unsent and size < LARGEST_BATCH:
            wakeup = self._unsent.popleft()
            wakeups.append(wakeup)
            size += sum(len(content) for _, _, content, *_ in wakeup["frames"])
            size += CONTROL_SIZE * len(wakeup["controls"])
        return wakeups

    async def _send(self, broker: Broker, listener: Listener, wakeups: list[Wakeup]) -> None:
        """Send over Redis unless it hangs, and as a database notice what it did not take in
        time."""
        if self._sending is None or self._sending.done():
            messages = messages_of(wakeups, self._origin) + listener.due_probes()
            # A Redis that failed is tried again without waiting for it.
            seconds = FALLBACK_SECONDS if self._redis_works else 0.0
            self._sending = spawn(self._publish(broker, messages))
            await asyncio.wait(
                {self._sending}, timeout=seconds if database_notices.available() else None
            )
            if self._sending.done() and self._redis_works:
                return
        if wakeups and database_notices.available():
            try:
                await in_thread(database_notices.notify, wakeups)
            except Exception as error:  # noqa: BLE001
                log.warning("database not notified", error=type(error).__name__)

    async def _publish(self, broker: Broker, messages: list[Message]) -> None:
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await broker.publish(messages)
            self._redis_works = True
        except Exception as error:  # noqa: BLE001
            self._redis_works = False
            log.warning("wake-up not sent", error=type(error).__name__, messages=len(messages))

    def _receive(self, content: bytes) -> None:
        # A message that cannot be handled is no reason to renew the links.
        try:
            if content[:ORIGIN_SIZE] != self._origin:
                self._deliver(opened(content))
        except Exception:
            log.exception("wake-up not delivered")
