"""Pages of the log for sockets that catch up: those that wait at one moment are read together, and
once for all sockets that ask for the same one.

A page takes milliseconds of the interpreter, which runs one thread at a time. If several were read
at once, all work of this process would slow down, and sockets that were disconnected together come
back together (docs/decisions/0024-catching-up.md).
"""

import asyncio
from collections.abc import Sequence

from apps.realtime.event_log import PAGE_EVENTS, Backlog, PageKey, pages_after
from apps.realtime.threads import in_thread
from apps.realtime.together import Together

# How many calls read at once, and how many pages one reads.
CALLS = 1
PAGES_TOGETHER = 10


class Pages:
    """Pages of all streams, for the sockets of one process. Lives on one event loop."""

    def __init__(self) -> None:
        self._together = Together(self._read, largest=PAGES_TOGETHER, most=CALLS)
        self._reads: dict[PageKey, asyncio.Future[Backlog]] = {}

    async def read(self, stream: str, after: int, up_to: int) -> Backlog:
        """Return a page of the events after a number, up to one that is in the log already; raise
        Busy when other pages take too long."""
        # A socket never gets a page that was begun when the log had fewer events than the socket
        # knows of: sockets that ask for the same numbers know of the same events.
        key = (stream, after, min(up_to, after + PAGE_EVENTS))
        if key not in self._reads:
            self._reads[key] = self._together.ask(key)
            self._reads[key].add_done_callback(lambda _: self._reads.pop(key))
        # A socket that leaves meanwhile does not cancel the read of the others.
        return await asyncio.shield(self._reads[key])

    async def _read(self, keys: Sequence[PageKey]) -> list[Backlog]:
        pages: dict[PageKey, Backlog] = {}
        # No call in a thread reads more bytes than one page may have.
        while left := [key for key in keys if key not in pages]:
            found = zip(left, await in_thread(pages_after, left), strict=True)
            pages |= {key: page for key, page in found if page is not None}
        return [pages[key] for key in keys]
