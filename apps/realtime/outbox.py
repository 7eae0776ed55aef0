"""The frames that wait to be sent to one client."""

import asyncio
from collections import deque
from collections.abc import Awaitable

import structlog

from apps.core.metrics import Counter, Level
from apps.realtime import closing
from apps.realtime.background import spawn
from apps.realtime.frames import sending
from apps.realtime.run_until_blocked import run_until_blocked
from apps.realtime.wire import Wire

log = structlog.get_logger("parley.socket")

# Characters or bytes that may wait for a slow reader, beyond what the transport buffers, before its
# socket is closed. A user with ten sockets can have ten times as much kept.
OUTBOX_SIZE = 1024 * 1024


WAITING = Level("parley_frames_waiting", "Frames that wait for clients that read slowly.")
DROPPED = Counter("parley_frames_dropped_total", "Frames that waited for clients that were lost.")


class Outbox:
    """Sends frames in their order, and closes the connection of a client that does not read."""

    def __init__(self, wire: Wire) -> None:
        self.closed = False
        # By which code the server closed the connection, if it did.
        self.close_code: int | None = None
        self._wire = wire
        self._waiting: deque[str | bytes] = deque()
        self._size = 0
        self._draining: asyncio.Task[None] | None = None

    def push(self, content: str | bytes) -> None:
        """Send a frame, or have it wait behind those that the client has not taken yet.

        Never raises: an error of one socket must not reach what sends to many.
        """
        if self.closed:
            return
        if self._draining is not None:
            self._size += len(content)
            if self._size > OUTBOX_SIZE:
                self.close(closing.SLOW_READER)
            else:
                self._waiting.append(content)
                WAITING.add()
            return
        try:
            rest = run_until_blocked(self._wire.send(sending(content)))
        except Exception as error:  # noqa: BLE001
            self._fail(error)
            return
        if rest is not None:
            self._draining = spawn(self._send_waiting(rest))

    async def drain(self) -> None:
        """Wait until the client has taken all frames that were pushed."""
        if self._draining is not None:
            await asyncio.shield(self._draining)

    def close(self, code: int) -> None:
        """Close the connection, even while it is sending."""
        if not self.closed:
            self.close_code = code
            self._discard()
            spawn(self._wire.close(code))

    def _discard(self) -> None:
        """Send nothing any more, not even what waits."""
        self.closed = True
        DROPPED.add(len(self._waiting))
        WAITING.add(-len(self._waiting))
        self._waiting.clear()
        self._size = 0

    async def _send_waiting(self, begun: Awaitable[None]) -> None:
        try:
            await begun
            while self._waiting:
                content = self._waiting.popleft()
                WAITING.add(-1)
                self._size -= len(content)
                await self._wire.send(sending(content))
        except Exception as error:  # noqa: BLE001
            self._fail(error)
        finally:
            self._draining = None

    def _fail(self, error: Exception) -> None:
        log.debug("not sent", socket_id=self._wire.socket_id, error=type(error).__name__)
        self._discard()
        self._wire.abort()
