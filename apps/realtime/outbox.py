"""What waits to be sent to one client."""

import asyncio
from collections import deque
from collections.abc import Awaitable

import structlog

from apps.realtime import closing
from apps.realtime.frames import sending
from apps.realtime.relay import Spawn
from apps.realtime.run_until_blocked import run_until_blocked
from apps.realtime.wire import Wire

log = structlog.get_logger("parley.socket")

# Characters or bytes that may wait for a slow reader, beyond what the transport buffers, before it
# is cut off. With ten sockets a user can have no more than ten times as much kept.
OUTBOX = 1024 * 1024


class Outbox:
    """Sends frames in their order, and closes the connection of a client that does not read."""

    def __init__(self, wire: Wire, spawn: Spawn) -> None:
        self.closed = False
        self._wire = wire
        self._spawn = spawn
        self._waiting: deque[str | bytes] = deque()
        self._size = 0
        self._draining: asyncio.Task[None] | None = None

    def push(self, content: str | bytes) -> None:
        """Send a frame, or have it wait behind those that the client has not taken yet.

        Never raises: whatever the server makes of a socket that is going is that socket's affair.
        """
        if self.closed:
            return
        if self._draining is not None:
            self._size += len(content)
            if self._size > OUTBOX:
                self.close_soon(closing.SLOW_READER)
            else:
                self._waiting.append(content)
            return
        try:
            rest = run_until_blocked(self._wire.send(sending(content)))
        except Exception as error:  # noqa: BLE001
            self._fail(error)
            return
        if rest is not None:
            self._draining = self._spawn(self._drain(rest))

    async def pushed(self, content: str | bytes) -> None:
        """Send a frame and wait until the client has taken what came before it."""
        self.push(content)
        if self._draining is not None:
            await asyncio.shield(self._draining)

    def close_soon(self, code: int) -> None:
        """Close the connection, whatever is under way in it."""
        if not self.closed:
            self.close_outbox()
            self._spawn(self._wire.close(code))

    def close_outbox(self) -> None:
        """Send nothing any more, not even what waits."""
        self.closed = True
        self._waiting.clear()
        self._size = 0

    async def _drain(self, begun: Awaitable[None]) -> None:
        try:
            await begun
            while self._waiting:
                content = self._waiting.popleft()
                self._size -= len(content)
                await self._wire.send(sending(content))
        except Exception as error:  # noqa: BLE001
            self._fail(error)
        finally:
            self._draining = None

    def _fail(self, error: Exception) -> None:
        log.debug("not sent", client=self._wire.socket_id, error=type(error).__name__)
        self.close_outbox()
        self._wire.cut()
