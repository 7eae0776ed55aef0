"""The log as sockets that catch up read it: one page at a time, and each only once for all of those
who ask for it at the same moment.

A page costs milliseconds of the interpreter, which runs one thread at a time. Were several read at
once, everything that this process does would take as many times longer meanwhile, and sockets that
were cut off together come back together (docs/decisions/0024-catching-up.md).
"""

import asyncio

from apps.core.errors import Busy
from apps.realtime.event_log import PAGE_EVENTS, Backlog, events_after
from apps.realtime.threads import WAIT_SECONDS, in_thread

Key = tuple[str, int, int]


class Pages:
    """Pages of all streams, for the sockets of one process. Lives on one event loop."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._asked_for: dict[Key, asyncio.Task[Backlog]] = {}

    async def read(self, stream: str, after: int, up_to: int) -> Backlog:
        """Return a page of the events behind a number, up to one that is in the log already; raise
        Busy when its turn does not come in time."""
        # Nobody is handed a page that was begun when less was in the log than they know of: whoever
        # asks for the same numbers knows of the same events.
        key = (stream, after, min(up_to, after + PAGE_EVENTS))
        if key not in self._asked_for:
            self._asked_for[key] = asyncio.create_task(self._read(key))
            self._asked_for[key].add_done_callback(lambda _: self._asked_for.pop(key))
        # One who leaves meanwhile does not take the page from the others.
        return await asyncio.shield(self._asked_for[key])

    async def _read(self, key: Key) -> Backlog:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise Busy from None
        try:
            return await in_thread(events_after, *key)
        finally:
            self._turn.release()
