"""Coming back: when, and by which transport."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Literal

from parley_client import closing
from parley_client.closing import Then
from parley_client.errors import ConnectionLost, Stopped
from parley_client.inbox import Inbox
from parley_client.log import note
from parley_client.opening import Opener
from parley_client.pending import Pending
from parley_client.polling import Polling
from parley_client.rest import Rest
from parley_client.socket import Socket
from parley_client.tasks import until_first_ends
from parley_client.timing import Timing

Transport = Literal["auto", "websocket", "http"]


class Reconnecting:
    """Keeps the client connected, until the server says that it shall not come back."""

    def __init__(
        self,
        transport: Transport,
        opener: Opener,
        rest: Rest,
        inbox: Inbox,
        pending: Pending,
        work: asyncio.Event,
        timing: Timing,
    ) -> None:
        self._transport = transport
        self._opener = opener
        self._rest = rest
        self._inbox = inbox
        self._pending = pending
        self._work = work
        self._timing = timing
        self._polling = Polling(rest, inbox, pending, work, timing)
        self._socket: Socket | None = None
        # Attempts in a row that reached a server in vain, and those after which to wait longer.
        self._blocked = 0
        self._attempt = 0

    async def ask(self, command: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a command over the open websocket; raise ConnectionLost if there is none."""
        if self._socket is None:
            raise ConnectionLost("No websocket is open.")
        return await self._socket.ask(command, data)

    async def run(self) -> None:
        """Connect again and again; raise Stopped."""
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                await (self._poll() if self._polls else self._open())
            except ConnectionLost as lost:
                delay = self._delay_after(lost, clock() - began)
                note(
                    "connection lost",
                    level=logging.WARNING,
                    code=lost.code,
                    reason=str(lost),
                    delay=round(delay, 3),
                )
                await asyncio.sleep(delay)

    @property
    def _polls(self) -> bool:
        if self._transport == "auto":
            return self._blocked >= self._timing.blocked_attempts
        return self._transport == "http"

    async def _open(self) -> None:
        async with self._opener.opened() as connection:
            socket = Socket(connection, self._inbox, self._pending, self._work, self._timing)
            try:
                async with asyncio.timeout(self._timing.opening):
                    await socket.begin()
            except TimeoutError as error:
                raise ConnectionLost("The first frame does not come.", blocked=True) from error
            self._blocked = 0
            self._socket = socket
            try:
                await socket.run()
            finally:
                self._socket = None

    async def _poll(self) -> None:
        if self._transport == "http":
            await self._polling.run()
            return
        after = self._timing.backoff.around(self._timing.return_after)
        await until_first_ends(self._polling.run(), self._return_after(after))

    async def _return_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        # One more attempt in vain is enough to poll again, and at once.
        self._blocked, self._attempt = self._timing.blocked_attempts - 1, 0

    def _delay_after(self, lost: ConnectionLost, lived: float) -> float:
        """Return after which delay to connect again; raise Stopped if not at all."""
        backoff = self._timing.backoff
        self._blocked += lost.blocked
        # One that is refused over and over, or is closed as soon as it is open, waits longer.
        if lived > backoff.limit(self._attempt):
            self._attempt = 0
        delay = backoff.delay(self._attempt)
        self._attempt += 1
        if lost.code is not None:
            match closing.after(lost.code):
                case Then.STOP:
                    raise Stopped(str(lost), lost.code) from lost
                case Then.RECONNECT_LATER:
                    delay = backoff.restart_delay()
                case Then.LOG_IN:
                    self._rest.reject()
        return delay + (lost.retry_after or 0)
