"""The client that an application uses."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from parley_client.errors import ParleyError, Refused, Stopped
from parley_client.frames import FRAME_BYTES, Command, Event, render
from parley_client.inbox import Inbox
from parley_client.journal import Entry, Journal
from parley_client.log import note
from parley_client.opening import Opener
from parley_client.pending import Draft, Message, Pending
from parley_client.reconnecting import Reconnecting, Transport
from parley_client.rest import Rest
from parley_client.streams import Position, Streams
from parley_client.timing import Timing
from parley_client.tokens import AccessTokens

# What a frame has besides the message.
FRAME_OVERHEAD = 100


class Client:
    """A user's connection to Parley, as an async context manager.

    - `streams` are those to receive apart from the user's own, such as `feed`.
    - `positions` say where an earlier client stopped, by stream. A stream without one begins at its
      head.
    - `journal` keeps messages without an outcome over a restart of the program.
    - `transport`: `auto` polls over HTTP while no websocket can be opened, and returns to it.
    - `ticket` opens websockets by a ticket instead of a header.
    - `most_waiting` is how many events may wait for the application. More are asked for again when
      it has caught up.
    """

    def __init__(
        self,
        url: str,
        tokens: AccessTokens,
        *,
        streams: Iterable[str] = (),
        positions: Mapping[str, Position] | None = None,
        journal: Journal | None = None,
        transport: Transport = "auto",
        ticket: bool = False,
        most_waiting: int = 10_000,
        timing: Timing | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        timing = timing or Timing()
        url = url.rstrip("/")
        # Set when there is something to send.
        work = asyncio.Event()
        # Plain HTTP needs no certificates, which take long to load.
        verify = tls or url.startswith("https")
        self._http = httpx.AsyncClient(base_url=url, timeout=timing.opening, verify=verify)
        self._rest = Rest(self._http, tokens)
        self._inbox = Inbox(Streams(positions, streams), work, most_waiting)
        self._pending = Pending(work)
        opener = Opener(url, self._rest, ticket=ticket, seconds=timing.opening, tls=tls)
        self._connection = Reconnecting(
            transport, opener, self._rest, self._inbox, self._pending, work, timing
        )
        self._journal = journal
        self._journal_lock = asyncio.Lock()
        self._forgetting: set[asyncio.Task[None]] = set()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._journal is not None:
            for entry in await asyncio.to_thread(self._journal.entries):
                self._add(entry)
        self._running = asyncio.create_task(self._connection.run())
        self._running.add_done_callback(self._ended)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. Messages without an outcome raise Stopped, and stay in the
        journal."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        await asyncio.gather(*self._forgetting)
        await self._http.aclose()

    async def ready(self) -> None:
        """Wait until the server has answered for each stream: all that happens from then on
        arrives. Raise Stopped if the client ended before."""
        ready = asyncio.create_task(self._inbox.ready.wait())
        await asyncio.wait([ready, self._task], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not self._inbox.ready.is_set():
            raise self._reason(self._task)

    def events(self) -> AsyncIterator[Event]:
        """Yield what arrives, until close(); raise Stopped if the client ended by itself. Each
        event goes to one of those who ask."""
        return self._inbox.events()

    async def send(self, to: str, text: str, *, client_id: str | None = None) -> Message:
        """Send a message to the user with the id `to`, and return it once it is stored.

        It is sent again, with the same client id, until the server says what became of it. Raise
        Refused if the server refuses it, and Stopped if the client ends before. To cancel this call
        does not take the message back.
        """
        entry = {"receiverId": to, "content": text, "clientId": client_id or uuid4().hex}
        if len(render(Command.CHAT_MESSAGE, entry, "").encode()) > FRAME_BYTES - FRAME_OVERHEAD:
            raise Refused("PAYLOAD_TOO_LARGE", "The message does not fit into a frame.")
        if self._journal is not None:
            async with self._journal_lock:
                await asyncio.to_thread(self._journal.add, entry)
        if self._task.done():
            raise self._reason(self._task)
        return await asyncio.shield(self._add(entry).outcome)

    def outcomes(self) -> "Mapping[str, asyncio.Future[Message]]":
        """Return the outcomes that are still to come, by client id: also those of messages that the
        journal has from an earlier program."""
        return self._pending.outcomes()

    async def ask(self, command: str, **data: Any) -> Mapping[str, Any]:
        """Send another command over the websocket, such as `read_receipt`, and return the data of
        its answer.

        Raise Refused, ConnectionLost if there is no websocket or it broke before the answer, or
        ValueError for what no frame can hold.
        """
        return await self._connection.ask(command, data)

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the body of the response to a request below /api/v1, as the user; raise Refused,
        ConnectionLost or Stopped."""
        return await self._rest.call(method, path, json=json, params=params)

    @property
    def _task(self) -> asyncio.Task[None]:
        if self._running is None:
            raise RuntimeError("The client is used within `async with`.")
        return self._running

    def _add(self, entry: Entry) -> Draft:
        draft = self._pending.add(entry)
        if self._journal is not None:
            draft.outcome.add_done_callback(partial(self._forget_later, draft.client_id))
        return draft

    def _forget_later(self, client_id: str, outcome: "asyncio.Future[Message]") -> None:
        if outcome.cancelled() or isinstance(outcome.exception(), Stopped):
            return
        task = asyncio.create_task(self._forget(client_id))
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)

    async def _forget(self, client_id: str) -> None:
        """Remove a message from the journal. If that fails, it is only sent once more."""
        assert self._journal is not None
        try:
            async with self._journal_lock:
                await asyncio.to_thread(self._journal.remove, client_id)
        except OSError as error:
            note("journal failed", level=logging.ERROR, client_id=client_id, error=error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        closed = task.cancelled()
        level = logging.INFO if closed else logging.ERROR
        note("stopped", level=level, reason=str(self._reason(task)))
        self._pending.stop(partial(self._reason, task))
        self._inbox.end(None if closed else partial(self._reason, task))

    @staticmethod
    def _reason(task: asyncio.Task[None]) -> Stopped:
        """Return why the client ended, as an exception for one who asks."""
        if task.cancelled():
            return Stopped("The client was closed.")
        error = task.exception()
        code = error.code if isinstance(error, Stopped) else None
        stopped = Stopped(str(error) if isinstance(error, ParleyError) else repr(error), code)
        stopped.__cause__ = error
        return stopped
