"""Uvicorn's HTTP protocol with bounds on what a client may do before a view runs: on the length of
a head and its time, on the requests of one connection, and on the connections of one network."""

import asyncio
from functools import partial
from typing import Any, cast

from django.conf import settings
from django.db import InterfaceError, OperationalError
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from apps.core.errors import BadRequest, Busy, DomainError, HeadersTooLarge, RequestTimeout
from apps.core.http.connections import connections
from apps.core.http.envelope import dumps, timestamp
from apps.core.http.grouped_writes import GroupedWrites, WriteRequest
from apps.core.http.hot_reads import (
    Answer,
    HotReads,
    HotRequest,
    RequestHead,
    log_abandoned,
    read_head,
    render,
)
from apps.core.http.repeated_heads import repeated_heads
from apps.core.http.slow_clients import AbortingTransport
from apps.core.ids import uuid7

HEAD_BYTES = 32 * 1024
HEAD_SECONDS = 10
# How many requests of a connection may wait for the answer to an earlier one. Browsers send none.
PIPELINED = 16
# How long a refused client may go on sending before the server aborts the connection. If the server
# aborted it at once, some systems would discard the refusal before the client has read it.
LINGER_SECONDS = 2


HOT_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}
WRITE_METHODS = {b"POST", b"PUT", b"PATCH"}
# A request with one of these headers may have a body.
WITH_BODY = {b"content-length", b"transfer-encoding", b"expect"}
# The key of the scope that says that the limit on addresses has counted the request.
COUNTED = "parley.counted"
# The key of the scope with the refusal that the request gets in any case.
REFUSAL = "parley.refusal"
# The key of the scope that says that the body did not arrive in time.
BODY_LATE = "parley.body_late"

hot_reads: HotReads | None = None
grouped_writes: GroupedWrites | None = None
# The headers that the server adds to all answers, and their lines.
_default_lines: list[Any] = [None, b""]


def answer_hot_reads(reads: HotReads | None) -> None:
    """Answer requests by these from now on, before the ASGI application; None for none."""
    global hot_reads
    hot_reads = reads


def answer_grouped_writes(writes: GroupedWrites | None) -> None:
    """Answer writes by these from now on, before the ASGI application; None for none."""
    global grouped_writes
    grouped_writes = writes


class BoundedHttpProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with limits; by itself it buffers whatever a client sends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connection: Any = None
        self._done = False
        self._running: RequestResponseCycle | None = None
        # Whether the present request was answered from kept bytes, and what it waits for if its
        # answer is being loaded.
        self._answered = False
        # When a request was last answered that the parser did not see, by the loop's clock.
        self._answered_at = 0.0
        # The address of the client, and the head of the present request if it can be answered here.
        self._peer = ""
        self._head: RequestHead | None = None
        # Whether the parser has seen nothing yet, or last one such request and nothing after it.
        self._may_repeat = True
        # A request that was accepted before it is parsed.
        self._accepted: HotRequest | None = None
        # The requests that the parser has begun, and whether it is between two.
        self._begun = 0
        self._between = True
        self._loading: tuple[HotRequest, asyncio.Future[Answer | None]] | None = None
        # The present request if it is a write that can be grouped, until its body has arrived.
        self._write: WriteRequest | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._refusal: DomainError | None = None
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
        self._stop_waiting_for_body()
        self._cancel_cut_off()
        if running := self._serving:
            # Uvicorn notifies only the newest of several requests.
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; the websocket's protocol releases it later."""
        self._done = True
        self.transport = self._connection
        super().handle_websocket_upgrade()
        if not cast("WebSocketsSansIOProtocol", self.transport.get_protocol()).handshake_initiated:
            # Its parser rejects some input, such as lines over 8 KiB, and never answers it.
            self._refuse(BadRequest("This is not a valid websocket request"))

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
        loading, self._loading = self._loading, None
        if self._write is not None:
            # It begins when the body has arrived.
            return
        if loading is None:
            super()._start_asgi_task(cycle, app)
        else:
            request, future = loading
            future.add_done_callback(partial(self._answer_loaded, request, cycle, app))

    # Requests that are answered without an ASGI application.

    @property
    def _is_usual(self) -> bool:
        """Return whether the request is one for the API, and the only one of a connection that
        stays open."""
        return (
            self.url.startswith(b"/api/")
            and not self._serving
            and not self.flow.write_paused
            and not self.transport.is_closing()
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
        )

    # Those that are answered from kept bytes.

    def _accept_hot(self) -> HotRequest | None:
        """Return the request if it can be answered here: it has no body, and no other request of
        the connection is under way."""
        if hot_reads is None or not self._is_usual:
            return None
        method = self.parser.get_method()
        if method not in HOT_METHODS or any(name in WITH_BODY for name, _ in self.headers):
            return None
        self._head = read_head(self.headers, self._peer)
        if self._head is None or self._accepted is not None:
            return self._accepted
        return hot_reads.accept(HOT_METHODS[method], self.url.decode("ascii"), self._head)

    def _answer_hot(self) -> bool:
        """Answer the request if its answer is kept, and return True. If it can be loaded, let
        _start_asgi_task() wait for that."""
        request = self._accept_hot()
        if request is None or hot_reads is None:
            self._head = None
            return False
        answer = hot_reads.kept(request)
        if answer is None:
            cast("dict[str, Any]", self.scope)[COUNTED] = True
            self._loading = request, hot_reads.load(request)
            return False
        self._answered = True
        self._write_hot(request, answer)
        return True

    def _answer_loaded(
        self,
        request: HotRequest,
        cycle: RequestResponseCycle,
        app: ASGI3Application,
        future: "asyncio.Future[Answer | None]",
    ) -> None:
        """Answer a request that was loaded; have the view answer it if that is its task, if the
        load failed, or if the server ends the connection."""
        if cycle.disconnected or self.transport.is_closing():
            log_abandoned(request)
            return
        failure = future.exception()
        answer = None if failure else future.result()
        if isinstance(failure, Busy | OperationalError | InterfaceError):
            # The view would wait for the same threads or the same database again.
            cast("dict[str, Any]", cycle.scope)[REFUSAL] = Busy()
        if answer is None or not cycle.keep_alive:
            super()._start_asgi_task(cycle, app)
        else:
            cycle.response_complete = True
            self._write_hot(request, answer)

    def _write_hot(self, request: HotRequest, answer: Answer) -> None:
        self.transport.write(render(request, answer, self._default_lines()))
        self.on_response_complete()

    # Those that write together.

    def _accept_write(self) -> WriteRequest | None:
        """Return the request if its write can be grouped, once its body has arrived."""
        method = self.parser.get_method()
        if grouped_writes is None or method not in WRITE_METHODS or not self._is_usual:
            return None
        peer = self.client[0] if self.client else ""
        return grouped_writes.accept(
            method.decode(), self.url.decode("latin-1"), self.headers, peer
        )

    def _begin_write(self) -> None:
        """Answer the request whose body has arrived, in a task."""
        request, self._write = self._write, None
        self._stop_waiting_for_body()
        if request is not None:
            task = self.loop.create_task(self._answer_write(request, self.cycle))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _answer_write(self, request: WriteRequest, cycle: RequestResponseCycle) -> None:
        """Answer a write, or have the view do it, which reads the same body."""
        assert grouped_writes is not None
        written = await grouped_writes.answer(request, bytes(cycle.body))
        if written is None:
            super()._start_asgi_task(cycle, self.app)
        elif not cycle.disconnected and not self.transport.is_closing():
            lines = self._default_lines()
            # The server may have begun to stop meanwhile.
            if not cycle.keep_alive:
                lines += b"connection: close\r\n"
            cycle.response_complete = True
            self.transport.write(written.response(lines))
            if not cycle.keep_alive:
                self.transport.close()
            self.on_response_complete()

    def _body_is_late(self) -> None:
        """Have the application refuse the request."""
        self._write = self._body_timer = None
        cast("dict[str, Any]", self.cycle.scope)[BODY_LATE] = True
        super()._start_asgi_task(self.cycle, self.app)

    def _stop_waiting_for_body(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _default_lines(self) -> bytes:
        headers = self.server_state.default_headers
        if headers is not _default_lines[0]:
            # Uvicorn makes another list each second.
            lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
            _default_lines[:] = [headers, lines]
        return cast("bytes", _default_lines[1])

    def _answer_repeated(self, data: bytes) -> bool:
        """Answer a request that repeats a head, if its answer is kept, and return True. The parser
        does not see it."""
        if (
            hot_reads is None
            or not self._may_repeat
            or self._serving
            or self.flow.write_paused
            or self.transport.is_closing()
            or (found := repeated_heads.match(self._peer, data)) is None
        ):
            return False
        request = hot_reads.accept(*found)
        answer = None if request is None else hot_reads.kept(request)
        if request is None or answer is None:
            self._accepted = request
            return False
        self._stop_waiting_for_head()
        self.transport.write(render(request, answer, self._default_lines()))
        self.server_state.total_requests += 1
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_handler()
        return True

    def _remember_head(self, data: bytes) -> None:
        if self._head is not None:
            self._may_repeat = True
            repeated_heads.remember(self._peer, data, self._head)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, unless a request was answered since the timer was started."""
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(
                left, self.timeout_keep_alive_handler
            )
        else:
            super().timeout_keep_alive_handler()

    # Received data.

    def data_received(self, data: bytes) -> None:
        """Parse the data, and refuse a head that is too long or does not end."""
        if self._answer_repeated(data):
            return
        begun, self._head, self._may_repeat = self._begun, None, False
        for start in range(0, len(data), HEAD_BYTES):
            if self._done:
                return
            piece = data[start : start + HEAD_BYTES]
            self._progressed = False
            super().data_received(piece)
            self._silent_bytes = 0 if self._progressed else self._silent_bytes + len(piece)
            if self._silent_bytes > HEAD_BYTES and not self._done:
                self._refuse(HeadersTooLarge())
        self._accepted = None
        if self._between and self._begun == begun + 1:
            self._remember_head(data)
        if not self._done and not self._serving and self._head_timer is None:
            self._wait_for_head()
        if self._write is not None and self._body_timer is None:
            self._body_timer = self.loop.call_later(
                settings.SERVER_READ_TIMEOUT, self._body_is_late
            )

    def on_message_begin(self) -> None:
        """Begin a request."""
        if len(self.pipeline) >= PIPELINED:
            self._fail(BadRequest("Too many requests were sent before their answers were read"))
        super().on_message_begin()
        self._head_bytes = 0
        self._begun += 1
        self._between = False

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
        self._progressed = True
        self._stop_waiting_for_head()
        self._answered = False
        if not self._answer_hot():
            self._write = self._accept_write()
            super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """Note the progress of the parser: a part of the body begins."""
        self._progressed = True

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on."""
        self._progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self._progressed = self._between = True
        if not self._answered:
            super().on_message_complete()
            self._begin_write()

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
