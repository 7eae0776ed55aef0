"""REST on Django's WSGI handler, one thread hop away from the ASGI server.

The WSGI handler serves several times as many requests as the ASGI one
(docs/decisions/0001-http-engine.md). A request takes a thread only once its body is complete, and
gives it back before a slow client reads the answer, so that a handful of threads serves any number
of slow clients. docs/decisions/0012-lanes.md says which threads serve which requests, and how many
requests may wait for one.

Both sides communicate through the environ: the bridge sets `parley.arrived`, `parley.counted`,
`parley.body_late`, `parley.body_too_large` and `parley.refusal`, and the application sets
`parley.delay`.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings

from apps.core.errors import Busy, RateLimited
from apps.core.threads import BoundedPool

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]

SPOOL_BYTES = 64 * 1024
CHUNK_BYTES = 256 * 1024
# The longest delay that a view may set with `parley.delay`, in seconds.
LONGEST_DELAY = 5.0
# Django parses these headers in a time that grows with the square of their length, so they are cut:
# thirty thousand semicolons would hold all threads for a quarter of a second.
LONGEST_VALUES = {"CONTENT-TYPE": 256, "ACCEPT": 1024}
# How long the bridge delays its own refusals, in seconds. Otherwise a flood on a hundred
# connections, each of which asks again at once, would keep the loop busy with refusals alone.
REFUSAL_DELAY = 1.0


class ClientGone(Exception):
    """The client disconnected before its request was complete."""


class Reply:
    """The WSGI application's answer to one request: its head, and its body part by part.

    Its methods block, and run in threads one after the other. Only close() may be called while
    another method still runs, because the caller was cancelled; it waits for that method.
    """

    def __init__(self, application: Application, environ: Environ) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.closed = False
        self._application = application
        self._environ = environ
        self._body: Iterable[bytes] = ()
        self._chunks: Iterator[bytes] = iter(())
        self._lock = threading.Lock()

    def begin(self) -> tuple[bytes, bool]:
        """Call the application; return what read() returns."""
        with self._lock:
            self._body = self._application(self._environ, self._start)
            self._chunks = iter(self._body)
            part, more = self._next()
            if not more and self.status not in {204, 304}:
                self._add_length(len(part))
            return part, more

    def read(self) -> tuple[bytes, bool]:
        """Return the next part of the body and whether there is more; close after the last."""
        with self._lock:
            return self._next()

    def close(self) -> None:
        """Close the application's answer. It may be called twice."""
        with self._lock:
            self._close()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        """Store the head: this is WSGI's start_response."""
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers]

    def _add_length(self, length: int) -> None:
        """Add a Content-Length unless the application has set one."""
        if all(name != b"content-length" for name, _ in self.headers):
            self.headers.append((b"content-length", str(length).encode()))

    def _next(self) -> tuple[bytes, bool]:
        parts, size = [], 0
        for chunk in self._chunks:
            parts.append(chunk)
            size += len(chunk)
            if size >= CHUNK_BYTES:
                return b"".join(parts), True
        self._close()
        return b"".join(parts), False

    def _close(self) -> None:
        self.closed = True
        close = getattr(self._body, "close", None)
        self._body = ()
        if close is not None:
            close()
        self._environ["wsgi.input"].close()


class WsgiBridge:
    """An ASGI application that answers HTTP with a WSGI one.

    `pool_of` returns the threads for a method and a path. `check_limit` reads the head of a
    request, on the loop, and returns the owner in whose share of the threads it runs; it raises
    RateLimited for a request that must not even wait for a thread.
    """

    def __init__(
        self,
        application: Application,
        pool_of: Callable[[str, str], BoundedPool],
        check_limit: Callable[[Environ], str],
    ) -> None:
        self._application = application
        self._pool_of = pool_of
        self._check_limit = check_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        environ = _environ(scope)
        reply = Reply(self._application, environ)
        pool = self._pool_of(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        try:
            part, more = await self._begin(pool, reply, environ, receive)
            await _delay(environ)
            if "HTTP_EXPECT" in environ:
                # The client may send its body or not, and the server could not tell that body from
                # the next request.
                reply.headers.append((b"connection", b"close"))
            head = {"status": reply.status, "headers": reply.headers}
            async with asyncio.timeout(settings.SERVER_WRITE_TIMEOUT):
                await send({"type": "http.response.start", **head})
                await _send_part(send, part, more)
            if more:
                await _send_rest(pool, reply, receive, send)
        except ClientGone:
            # No thread works on the reply, so its body can be freed at once.
            reply.close()
        finally:
            if not reply.closed:
                # The thread of a request that was cancelled may still be at work.
                pool.later(reply.close)

    async def _begin(
        self, pool: BoundedPool, reply: Reply, environ: Environ, receive: Receive
    ) -> tuple[bytes, bool]:
        try:
            if environ["parley.refusal"]:
                raise environ["parley.refusal"]
            owner = self._check_limit(environ)
            await _read_body(environ, receive)
            return await pool.run_for(owner, reply.begin)
        except (RateLimited, Busy) as refusal:
            # This runs on the loop. It is safe because the application refuses first of all, and
            # waits for nothing before that (see ApiMiddleware).
            environ["parley.refusal"] = refusal
            environ["parley.delay"] = REFUSAL_DELAY
            return reply.begin()


async def _delay(environ: Environ) -> None:
    """Wait for the delay that the view has set, without holding a thread."""
    seconds = environ.get("parley.delay", 0.0)
    if seconds > 0:
        await asyncio.sleep(min(seconds, LONGEST_DELAY))


async def _send_rest(pool: BoundedPool, reply: Reply, receive: Receive, send: Send) -> None:
    """Send the parts after the first, while the client is connected."""
    gone = asyncio.create_task(wait_for_disconnect(receive))
    try:
        more = True
        while more and not gone.done():
            part, more = await pool.run(reply.read)
            async with asyncio.timeout(settings.SERVER_WRITE_TIMEOUT):
                await _send_part(send, part, more)
    except Busy:
        # The server closes the connection of an incomplete answer, so the client notices.
        return
    finally:
        gone.cancel()


async def _send_part(send: Send, part: bytes, more: bool) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": more})


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client disconnects. What else it sends is ignored."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read_body(environ: Environ, receive: Receive) -> None:
    """Read the whole body into `wsgi.input`, or set in the environ why that is not possible."""
    if environ["parley.body_too_large"] or environ["parley.body_late"]:
        return
    # The first receive() makes the server send "100 Continue" to a client that waits for it.
    environ.pop("HTTP_EXPECT", None)
    body, size, more = environ["wsgi.input"], 0, True
    try:
        async with asyncio.timeout(settings.SERVER_READ_TIMEOUT):
            while more and size <= settings.BODY_LIMIT:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk = message.get("body", b"")
                size += len(chunk)
                body.write(chunk)
                more = message.get("more_body", False)
    except TimeoutError:
        environ["parley.body_late"] = True
    # The announced length may be wrong; the real length is that of the bytes that arrived.
    environ["parley.body_too_large"] = size > settings.BODY_LIMIT
    environ["CONTENT_LENGTH"] = str(min(size, settings.BODY_LIMIT))
    body.seek(0)


def _content_length(scope: Scope) -> int:
    """Return the announced length of the body, 0 if there is none."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


def _environ(scope: Scope) -> Environ:
    """Return the WSGI environment (PEP 3333) of an ASGI scope, with an empty body."""
    host, port = scope.get("server") or ("localhost", 80)
    path = unquote_to_bytes(scope["raw_path"]) if scope.get("raw_path") else scope["path"].encode()
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": scope.get("root_path", ""),
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or ("", 0))[0],
        "wsgi.version": (1, 0),
        "wsgi.input": SpooledTemporaryFile(SPOOL_BYTES),  # noqa: SIM115
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "parley.arrived": scope.get("parley.arrived") or time.time(),
        "parley.counted": scope.get("parley.counted", False),
        "parley.refusal": scope.get("parley.refusal"),
        "parley.body_late": scope.get("parley.body_late", False),
        "parley.body_too_large": _content_length(scope) > settings.BODY_LIMIT,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").upper(), raw_value.decode("latin-1")
        # X_Forwarded_For and X-Forwarded-For would get the same key, so a client could send the
        # first past a proxy that sets the second.
        if "_" in name or name in {"CONTENT-LENGTH", "TRANSFER-ENCODING"}:
            continue
        key = "CONTENT_TYPE" if name == "CONTENT-TYPE" else f"HTTP_{name.replace('-', '_')}"
        value = value[: LONGEST_VALUES.get(name)]
        joint = "; " if name == "COOKIE" else ","
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    return environ
