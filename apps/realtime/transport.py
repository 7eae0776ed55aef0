"""The websocket protocol of the production server, with a way to hang up on who does not read."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request


class SocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's, which offers the application `parley.abort` in its scope's extensions.

    Its own close waits until the client has read all that was written, which a stalled one never
    does.
    """

    def handle_connect(self, event: Request) -> None:
        """Open the websocket. The application's task, made here, has not begun to run yet."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: Any = self.scope["extensions"]
            extensions["parley.abort"] = self.transport.abort
