"""Whether the readers of polls may still read what they are about to be shown."""

import asyncio
from collections.abc import Sequence

from apps.realtime.background import spawn
from apps.realtime.event_pages import EventPage
from apps.realtime.selectors import reader_refusals
from apps.realtime.sockets import Identity
from apps.realtime.threads import in_poll_thread

# How many polls one call asks for.
MOST_AT_ONCE = 500


class ReaderChecks:
    """Asks for all polls together that end while the database answers the last question: one event
    may end a thousand. Lives on one event loop.

    A poll never joins a question that was asked before it got its events.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Identity, EventPage, asyncio.Future[Exception | None]]] = []
        self._asking = False

    async def require(self, reader: Identity, page: EventPage) -> None:
        """Raise why the reader may not read what the page has; see selectors.reader_refusals."""
        answered: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((reader, page, answered))
        if not self._asking:
            self._asking = True
            spawn(self._ask())
        refusal = await answered
        if refusal is not None:
            raise refusal

    async def _ask(self) -> None:
        try:
            while self._waiting:
                asked = self._waiting[:MOST_AT_ONCE]
                del self._waiting[:MOST_AT_ONCE]
                pages = [(reader, page) for reader, page, _ in asked]
                refusals: Sequence[Exception | None]
                try:
                    refusals = await in_poll_thread(reader_refusals, pages)
                except Exception as error:  # noqa: BLE001
                    refusals = [error] * len(asked)
                for (_, _, answered), refusal in zip(asked, refusals, strict=True):
                    # Its client may have left.
                    if not answered.done():
                        answered.set_result(refusal)
        finally:
            self._asking = False
