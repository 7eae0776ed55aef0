"""Pages of the log for sockets that catch up: one is read at a time, and once for all sockets that
ask for it at the same time.

A page takes milliseconds of the interpreter, which runs one thread at a time. If several were read
at once, all work of this process would slow down, and sockets that were disconnected together come
back together (docs/decisions/0024-catching-up.md).
"""

import asyncio

from apps.core.errors import Busy
from apps.realtime.event_log import PAGE_EVENTS, Backlog, events_after
from apps.realtime.threads import WAIT_SECONDS, in_thread

Key = tuple[str, int, int]


class Pages:
    """Pages of all streams, for the sockets of one process. Lives on one event loop."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._reads: dict[Key, asyncio.Task[Backlog]] = {}

    async def read(self, stream: str, after: int, up_to: int) -> Backlog:
        """Return a page of the events after a number, up to one that is in the log already; raise
        Busy when other pages take too long."""
        # A socket never gets a page that was begun when the log had fewer events than the socket
        # knows of: sockets that ask for the same numbers know of the same events.
        key = (stream, after, min(up_to, after + PAGE_EVENTS))
        if key not in self._reads:
            self._reads[key] = asyncio.create_task(self._read(key))
            self._reads[key].add_done_callback(lambda _: self._reads.pop(key))
        # A socket that leaves meanwhile does not cancel the read of the others.
        return await asyncio.shield(self._reads[key])

    async def _read(self, key: Key) -> Backlog:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise Busy from None
        try:
            return await in_thread(events_after, *key)
        finally:
            self._lock.release()
