"""Uvicorn's HTTP protocol with bounds on what a client may do before a view runs: on the length of
a head and its time, on the requests of one connection, and on the connections of one network."""

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
from apps.core.http.slow_clients import AbortingTransport
from apps.core.ids import uuid7

HEAD_BYTES = 32 * 1024
HEAD_SECONDS = 10
# How many requests of a connection may wait for the answer to an earlier one. Browsers send none.
PIPELINED = 16
# How long a refused client may go on sending before the server aborts the connection. If the server
# aborted it at once, some systems would discard the refusal before the client has read it.
LINGER_SECONDS = 2
# How long a server that stops waits for a request on an idle connection. It may be on its way, and
# its client could not know whether it had any effect.
DRAIN_SECONDS = 0.3
# The key of the scope that says that the server stops, and the one with what an application that
# waits wants to have called then.
STOPPING = "parley.stopping"
WHEN_STOPPING = "parley.when_stopping"


class BoundedHttpProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with limits; by itself it buffers whatever a client sends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connection: Any = None
        self._done = False
        # Whether the server stops, and the next request of the connection is its last one.
        self._draining = False
        self._running: RequestResponseCycle | None = None
        self._refusal: DomainError | None = None
        # The address of the client.
        self._peer = ""
        # Bytes of names and values in the head, and in the trailers.
        self._head_bytes = 0
        # Bytes since the last progress of the parser. It reports no progress for an incomplete
        # head, for a trailer, and for the length and the extensions of a chunk.
        self._silent_bytes = 0
        self._progressed = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._cut_off_timer: asyncio.TimerHandle | None = None

    # The connection.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection unless its network has too many."""
        self.transport = self._connection = transport
        client = get_remote_addr(transport)
        if client is not None and not connections.acquire(transport, client[0]):
            self._done = True
            transport.abort()
            return
        super().connection_made(cast("asyncio.Transport", AbortingTransport(transport, self.loop)))
        self._peer = self.client[0] if self.client else ""
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the resources of the connection."""
        connections.release(self._connection)
        self._stop_waiting_for_head()
        self._cancel_cut_off()
        if running := self._serving:
            # Uvicorn notifies only the newest of several requests.
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; the websocket's protocol releases it later."""
        self._done = True
        if self._draining:
            self.transport.close()
            return
        self.transport = self._connection
        super().handle_websocket_upgrade()
        if not cast("WebSocketsSansIOProtocol", self.transport.get_protocol()).handshake_initiated:
            # Its parser rejects some input, such as lines over 8 KiB, and never answers it.
            self._refuse(BadRequest("This is not a valid websocket request"))

    def shutdown(self) -> None:
        """End the connection after the present request or, if there is none, after the next one or
        a moment. Uvicorn calls this when it stops."""
        if running := self._serving:
            _tell_stopping(running)
        if self._draining or running:
            super().shutdown()
        else:
            self._draining = True
            self.loop.call_later(DRAIN_SECONDS, self.shutdown)

    def pause_writing(self) -> None:
        """Abort the connection later if the client does not read. close() would wait for the
        client."""
        super().pause_writing()
        self._cut_off_after(settings.SERVER_WRITE_TIMEOUT)

    def resume_writing(self) -> None:
        """Continue with a client that reads again."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._cancel_cut_off()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # Received data.

    def data_received(self, data: bytes) -> None:
        """Parse the data, and refuse a head that is too long or does not end."""
        for start in range(0, len(data), HEAD_BYTES):
            if self._done:
                return
            piece = data[start : start + HEAD_BYTES]
            self._progressed = False
            super().data_received(piece)
            self._silent_bytes = 0 if self._progressed else self._silent_bytes + len(piece)
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
        """Count a part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header, or a trailer."""
        self._count(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Serve the request."""
        self._head_is_complete()
        super().on_headers_complete()
        if self._draining and self.cycle is not None:
            self.cycle.keep_alive = False
            _tell_stopping(self.cycle)

    def on_chunk_header(self) -> None:
        """Note the progress of the parser: a part of the body begins."""
        self._progressed = True

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on."""
        self._progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self._progressed = True
        super().on_message_complete()

    def _head_is_complete(self) -> None:
        self._progressed = True
        self._stop_waiting_for_head()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            self._fail(HeadersTooLarge())

    def _fail(self, error: DomainError) -> None:
        """Stop the parser; uvicorn then calls send_400_response."""
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
            # Browsers open connections in advance. A connection without a request gets no answer,
            # since the browser might take it for the answer to its first request.
            self._done = True
            self.transport.close()

    # Refusing.

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read, or what _fail() has stopped."""
        self._refuse(self._refusal or BadRequest("This is not an HTTP request"))

    def _refuse(self, error: DomainError) -> None:
        """Send the refusal in the envelope, read no more, and close the connection."""
        self._done = True
        self._stop_waiting_for_head()
        if self._serving:
            # The client would take the refusal for the answer to its earlier request.
            self.transport.abort()
        elif not self.transport.is_closing():
            self._write_refusal(error)
            self.transport.write_eof()
            self._cut_off_after(LINGER_SECONDS)

    def _write_refusal(self, error: DomainError) -> None:
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
        self._cancel_cut_off()
        self._cut_off_timer = self.loop.call_later(seconds, self.transport.abort)

    def _cancel_cut_off(self) -> None:
        if self._cut_off_timer is not None:
            self._cut_off_timer.cancel()
            self._cut_off_timer = None


def _tell_stopping(cycle: RequestResponseCycle) -> None:
    scope = cast("dict[str, Any]", cycle.scope)
    scope[STOPPING] = True
    scope.get(WHEN_STOPPING, lambda: None)()
