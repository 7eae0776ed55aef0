"""How a websocket is opened, and what it means when it is not."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from parley_client.answers import retry_after_of
from parley_client.errors import ConnectionLost, Refused
from parley_client.rest import Rest

# How long to wait for the other side's close frame, which is no more than polite.
CLOSE_SECONDS = 1.0


class Opener:
    """Opens websockets of one user, by a header with their token, or by a ticket in the address."""

    def __init__(
        self, url: str, rest: Rest, *, ticket: bool, seconds: float, tls: ssl.SSLContext | None
    ) -> None:
        self._address = f"{url.replace('http', 'ws', 1)}/ws"
        self._rest = rest
        self._ticket = ticket
        self._seconds = seconds
        # The library refuses the option, even if it is None, where the scheme says otherwise.
        self._options: dict[str, Any] = {"ssl": tls} if tls else {}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[ClientConnection]:
        """Open a websocket and close it after the block; raise ConnectionLost or Stopped."""
        token = await self._rest.token()
        address, headers = self._address, {"Authorization": f"Bearer {token}"}
        if self._ticket:
            address, headers = f"{address}?{urlencode({'ticket': await self._get_ticket()})}", {}
        try:
            connection = await connect(
                address,
                additional_headers=headers,
                open_timeout=self._seconds,
                # The silence of the server is noticed by Socket, which also counts its frames.
                ping_interval=None,
                close_timeout=CLOSE_SECONDS,
                max_size=None,
                **self._options,
            )
        except InvalidStatus as refused:
            raise self._why(refused, token) from refused
        except (TimeoutError, WebSocketException) as error:
            # Something answers there, or swallows what it gets.
            raise ConnectionLost(f"{type(error).__name__}: {error}", blocked=True) from error
        except OSError as error:
            raise ConnectionLost(f"{type(error).__name__}: {error}") from error
        async with connection:
            yield connection

    async def _get_ticket(self) -> str:
        try:
            ticket: str = (await self._rest.call("POST", "/auth/ws-ticket"))["data"]["ticket"]
        except Refused as refused:
            raise ConnectionLost(str(refused), retry_after=refused.retry_after) from refused
        return ticket

    def _why(self, refused: InvalidStatus, token: str) -> ConnectionLost:
        status = refused.response.status_code
        if status == 401 and not self._ticket:
            self._rest.reject(token)
        return ConnectionLost(
            f"HTTP {status} instead of a websocket",
            retry_after=retry_after_of(refused.response.headers),
            blocked=status not in {401, 429, 503},
        )
