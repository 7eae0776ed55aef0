"""The server's HTTP protocol: it answers hot reads and grouped writes by itself, before and without
the ASGI application.

docs/decisions/0028-hot-reads.md and 0031-grouped-writes.md say why.
"""

import asyncio
from functools import partial
from typing import Any, cast

from django.conf import settings
from django.db import InterfaceError, OperationalError
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from apps.core.errors import Busy
from apps.core.http.grouped_writes import GroupedWrites, WriteRequest
from apps.core.http.hot_reads import (
    Answer,
    HotReads,
    HotRequest,
    log_abandoned,
    render,
)
from apps.core.http.protocol import BoundedHttpProtocol
from apps.core.http.repeated_heads import repeated_heads
from apps.core.http.request_heads import RequestHead, read_head

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


class AnsweringHttpProtocol(BoundedHttpProtocol):
    """The protocol with limits, which also answers what needs no application."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whether the present request was answered from kept bytes, and what it waits for if its
        # answer is being loaded.
        self._answered = False
        # When a request was last answered that the parser did not see, by the loop's clock.
        self._answered_at = 0.0
        # The head of the present request, if it can be answered here.
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

    # Events of the connection and of the parser.

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the resources of the connection."""
        self._stop_waiting_for_body()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer a request that repeats a head; parse any other data."""
        if self._answer_repeated(data):
            return
        begun, self._head, self._may_repeat = self._begun, None, False
        super().data_received(data)
        self._accepted = None
        if self._between and self._begun == begun + 1:
            self._remember_head(data)
        if self._write is not None and self._body_timer is None:
            self._body_timer = self.loop.call_later(
                settings.SERVER_READ_TIMEOUT, self._body_is_late
            )

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._begun += 1
        self._between = False

    def on_headers_complete(self) -> None:
        """Answer the request if its answer is kept, and serve any other."""
        self._answered = self._answer_hot()
        if self._answered:
            self._head_is_complete()
        else:
            self._write = self._accept_write()
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request, and begin its write if its body was awaited."""
        self._between = True
        if not self._answered:
            super().on_message_complete()
            self._begin_write()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        loading, self._loading = self._loading, None
        if self._write is not None:
            # It begins when the body has arrived.
            self._running = cycle
        elif loading is not None:
            self._running = cycle
            request, future = loading
            future.add_done_callback(partial(self._answer_loaded, request, cycle, app))
        else:
            super()._start_asgi_task(cycle, app)

    @property
    def _is_usual(self) -> bool:
        """Return whether the request is one for the API, and the only one of a connection that
        stays open."""
        return (
            self.url.startswith(b"/api/")
            and not self._serving
            and not self._draining
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
        url = self.url.decode("latin-1")
        return grouped_writes.accept(method.decode(), url, self.headers, self._peer)

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
            or self._draining
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
