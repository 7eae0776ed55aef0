"""The server's end of one websocket, in the terms of ASGI's protocol `websocket`."""

import asyncio
from typing import Any

import structlog

from apps.core.errors import DomainError
from apps.core.http.envelope import dumps, timestamp
from apps.core.http.middleware import address_in_scope, valid_request_id
from apps.core.http.request_log import shown_address
from apps.core.metrics import Counter
from apps.core.quick_log import QuickLog
from apps.realtime import closing

SOCKET_LOGGER = "parley.socket"

log = structlog.get_logger(SOCKET_LOGGER)
lines = QuickLog(SOCKET_LOGGER)

REFUSED_SOCKETS = Counter(
    "parley_websocket_refusals_total", "Clients for which no socket was opened.", ("code",)
)

# How long a client may take to read its close frame.
CLOSE_SECONDS = 5.0


# What is kept of the name of a client's program, in characters.
LONGEST_USER_AGENT = 200


class Wire:
    """Sends what the protocol knows, whether or not the client is authenticated.

    `request_id` is that of the handshake: the client's own X-Request-ID, or the socket's id.
    """

    __slots__ = ("_extensions", "address", "request_id", "send", "socket_id", "user_agent")

    def __init__(self, scope: Any, send: Any, socket_id: str) -> None:
        self.send = send
        self.socket_id = socket_id
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        self.request_id = valid_request_id(given) or socket_id
        self.address = shown_address(address_in_scope(scope))
        self.user_agent = printable(headers.get(b"user-agent", b""))
        self._extensions = scope.get("extensions", {})

    async def accept(self) -> None:
        """Finish the upgrade."""
        await self.send({"type": "websocket.accept"})

    async def refuse(self, error: DomainError) -> None:
        """Answer why the client is refused: instead of the upgrade where the server can, else by a
        close code."""
        self.log_refusal(status=error.status, code=error.code)
        if "websocket.http.response" not in self._extensions:
            await self.accept()
            await self.close(closing.UNAUTHORIZED)
            return
        meta = {"requestId": self.request_id, "timestamp": timestamp()}
        body = dumps({"success": False, **error.as_dict(), "meta": meta})
        headers = {
            "content-type": "application/json",
            "x-request-id": self.request_id,
            **error.headers,
        }
        await self.send(
            {
                "type": "websocket.http.response.start",
                "status": error.status,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            }
        )
        await self.send({"type": "websocket.http.response.body", "body": body})

    def log_refusal(self, **why: Any) -> None:
        """Log why no socket is opened for the client, and count it."""
        REFUSED_SOCKETS.add(1, str(why["code"]))
        lines.info(
            "refused",
            socket_id=self.socket_id,
            request_id=self.request_id,
            address=self.address,
            **why,
        )

    async def close(self, code: int) -> None:
        """Send the close frame, and abort when the client does not even read that. Never raises."""
        frame = {"type": "websocket.close", "code": code, "reason": closing.REASONS[code]}
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.send(frame)
        except TimeoutError:
            self.abort()
        except Exception:  # noqa: BLE001
            log.debug("disconnected before it was closed", socket_id=self.socket_id)

    def abort(self) -> None:
        """End the connection without a close frame. Only our own server offers that."""
        abort = self._extensions.get("parley.abort")
        if abort is not None:
            abort()


def printable(user_agent: bytes) -> str:
    """Return the name of a client's program, cut, with only signs that a database can hold."""
    text = user_agent[:LONGEST_USER_AGENT].decode("latin-1")
    return "".join(sign if sign.isprintable() else "?" for sign in text)
