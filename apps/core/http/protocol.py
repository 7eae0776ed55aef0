"""Uvicorn's HTTP protocol with bounds on what a client may send and hold before a view is asked:
the length of a head, the time it takes, requests in one connection, connections of one network."""

import asyncio
from typing import Any, cast

from django.conf import settings
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from apps.core.errors import BadRequest, DomainError, HeadersTooLarge, RequestTimeout
from apps.core.http.connections import connections
from apps.core.http.envelope import dumps, timestamp
from apps.core.http.hangup import HangingUp
from apps.core.ids import uuid7

HEAD_BYTES = 32 * 1024
HEAD_SECONDS = 10
# Requests that wait in one connection for the answer to the one before them. Browsers send none.
PIPELINED = 16
# How long a client that was refused may go on sending before it is cut off. Were it cut off while
# it sends, some systems would throw the refusal away with the connection before it is read.
LINGER_SECONDS = 2


class BoundedHttpProtocol(HttpToolsProtocol):
    """Uvicorn's, which by itself keeps whatever is sent for as long as it is sent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connection: Any = None
        self._done = False
        self._running: RequestResponseCycle | None = None
        self._refusal: DomainError | None = None
        # Bytes of names and values in the head, and in the trailers, which are a head at the end.
        self._head_bytes = 0
        # Bytes since the parser last got further: what it is silent about is a head that is not
        # complete, a trailer, or a chunk's length with all that may stand behind it.
        self._silent_bytes = 0
        self._got_further = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._cut_off_timer: asyncio.TimerHandle | None = None

    # The connection.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless its network has too many."""
        self.transport = self._connection = transport
        client = get_remote_addr(transport)
        if client is not None and not connections.admit(transport, client[0]):
            self._done = True
            transport.abort()
            return
        super().connection_made(cast("asyncio.Transport", HangingUp(transport, self.loop)))
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what the connection held."""
        connections.release(self._connection)
        self._stop_waiting_for_head()
        self._let_live()
        if under_way := self._serving:
            # Uvicorn tells only the newest of several requests.
            under_way.disconnected = True
            under_way.message_event.set()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; its place is given back by the websocket's protocol."""
        self._done = True
        self.transport = self._connection
        super().handle_websocket_upgrade()
        if not cast("WebSocketsSansIOProtocol", self.transport.get_protocol()).handshake_initiated:
            # What its parser does not like, such as lines over 8 KiB, it never answers.
            self._refuse(BadRequest("This is no request for a websocket"))

    def pause_writing(self) -> None:
        """Have the client cut off that does not read. To close would wait until it has read."""
        super().pause_writing()
        self._cut_off_after(settings.SERVER_WRITE_TIMEOUT)

    def resume_writing(self) -> None:
        """Go on with a client that reads."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._let_live()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # What comes over it.

    def data_received(self, data: bytes) -> None:
        """Parse what came, and refuse a head that is too long or does not end."""
        for start in range(0, len(data), HEAD_BYTES):
            if self._done:
                return
            piece = data[start : start + HEAD_BYTES]
            self._got_further = False
            super().data_received(piece)
            self._silent_bytes = 0 if self._got_further else self._silent_bytes + len(piece)
            if self._silent_bytes > HEAD_BYTES and not self._done:
                self._refuse(HeadersTooLarge())
        if not self._done and not self._serving and self._head_timer is None:
            self._wait_for_head()

    def on_message_begin(self) -> None:
        """Begin a request."""
        if len(self.pipeline) >= PIPELINED:
            self._fail(BadRequest("Too many requests were sent before their answers were read"))
        super().on_message_begin()
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""
        self._count(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Serve the request."""
        self._got_further = True
        self._stop_waiting_for_head()
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """Note that a part of the body begins."""
        self._got_further = True

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._got_further = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self._got_further = True
        super().on_message_complete()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            self._fail(HeadersTooLarge())

    def _fail(self, error: DomainError) -> None:
        """Have the parser stop; uvicorn then calls send_400_response."""
        self._refusal = error
        raise error

    # Time.

    @property
    def _serving(self) -> RequestResponseCycle | None:
        running = self._running
        return running if running is not None and not running.response_complete else None

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _stop_waiting_for_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if self._silent_bytes:
            self._refuse(RequestTimeout("The head of the request did not arrive in time"))
        else:
            # Browsers open connections that they may need. One that never asked gets no answer,
            # which it might take for that to its first request.
            self._done = True
            self.transport.close()

    # Refusing.

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser could not read, or what it was stopped at."""
        self._refuse(self._refusal or BadRequest("This is no HTTP request"))

    def _refuse(self, error: DomainError) -> None:
        """Say so in the envelope, read no more, and hang up."""
        self._done = True
        self._stop_waiting_for_head()
        if self._serving:
            # The client would take the refusal for the answer that it waits for.
            self.transport.abort()
        elif not self.transport.is_closing():
            self._say(error)
            self.transport.write_eof()
            self._cut_off_after(LINGER_SECONDS)

    def _say(self, error: DomainError) -> None:
        request_id = str(uuid7())
        meta = {"requestId": request_id, "timestamp": timestamp(), "version": settings.APP_VERSION}
        body = dumps({"success": False, **error.as_dict(), "meta": meta})
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[error.status] + lines + b"\r\n" + body)

    def _cut_off_after(self, seconds: float) -> None:
        self._let_live()
        self._cut_off_timer = self.loop.call_later(seconds, self.transport.abort)

    def _let_live(self) -> None:
        if self._cut_off_timer is not None:
            self._cut_off_timer.cancel()
            self._cut_off_timer = None
