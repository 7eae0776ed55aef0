"""How uvicorn is run: its websocket protocol with a way to hang up, and its options."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

FRAME_BYTES = 64 * 1024
HEARTBEAT_SECONDS = 25
GONE_AFTER_SECONDS = 60


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


UVICORN: dict[str, Any] = {
    "ws": SocketProtocol,
    "ws_max_size": FRAME_BYTES,
    "ws_ping_interval": HEARTBEAT_SECONDS,
    "ws_ping_timeout": GONE_AFTER_SECONDS - HEARTBEAT_SECONDS,
    # Deflating costs each socket some 300 kB, and each delivery its own compression.
    "ws_per_message_deflate": False,
    "lifespan": "off",
    # The logs are configured by the settings; uvicorn's own would show tokens in addresses.
    "log_config": None,
    "access_log": False,
    "server_header": False,
    # Who the client is, is decided in one place, by SERVER_TRUSTED_PROXIES.
    "proxy_headers": False,
}
