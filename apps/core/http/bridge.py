"""REST on Django's WSGI handler, one thread hop away from the ASGI server.

The WSGI handler serves several times what the ASGI one does (docs/decisions/0001-http-engine.md).
A thread is taken only once a body is complete and given back before a slow client reads its
answer, so that a handful of threads serves any number of slow clients. Which threads, and how
many requests may wait for one, docs/decisions/0012-lanes.md says.

What the two sides tell each other stands in the environ: `parley.arrived`, `parley.body_late`,
`parley.body_too_large` and `parley.refusal` for the application, `parley.delay` by it.
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
# What a view may ask for with `parley.delay`, in seconds.
LONGEST_DELAY = 5.0
# How much is looked at of headers that Django takes apart in a time that grows with the square of
# their length: thirty thousand semicolons keep all threads waiting for a quarter of a second.
LONGEST_VALUES = {"CONTENT-TYPE": 256, "ACCEPT": 1024}
# How long who is refused here waits for the word, in seconds: a flood on some hundred connections,
# each of which asks again at once, would else keep the loop busy with nothing but refusals.
REFUSAL_DELAY = 1.0


class ClientGone(Exception):
    """The client hung up before its request was complete."""


class Reply:
    """The WSGI application's answer to one request: its head, and its body part by part.

    Its methods block, and run in threads one after the other. Only close() may come while another
    one is at work whose caller was cancelled, and waits for it.
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
        """Have the application answer; return what read() returns."""
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
        """Let the application know that its answer is done with, which it may hear twice."""
        with self._lock:
            self._close()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        """Take the head: WSGI's start_response."""
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers]

    def _add_length(self, length: int) -> None:
        """Say how long the body is, unless the application did."""
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

    `pool_of` says for method and path in which threads a request runs. `admit` looks at the head of
    a request, on the loop, and returns in whose share of those threads; it raises RateLimited for
    one that shall not even wait for a thread.
    """

    def __init__(
        self,
        application: Application,
        pool_of: Callable[[str, str], BoundedPool],
        admit: Callable[[Environ], str],
    ) -> None:
        self._application = application
        self._pool_of = pool_of
        self._admit = admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        environ = _environ(scope)
        reply = Reply(self._application, environ)
        pool = self._pool_of(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        try:
            part, more = await self._begin(pool, reply, environ, receive)
            await _delay(environ)
            if "HTTP_EXPECT" in environ:
                # It may send its body or not, which nobody could tell from a next request.
                reply.headers.append((b"connection", b"close"))
            head = {"status": reply.status, "headers": reply.headers}
            async with asyncio.timeout(settings.SERVER_WRITE_TIMEOUT):
                await send({"type": "http.response.start", **head})
                await _send_part(send, part, more)
            if more:
                await _send_rest(pool, reply, receive, send)
        except ClientGone:
            # Nobody else holds its body, which must not wait for a thread to be let go.
            reply.close()
        finally:
            if not reply.closed:
                # The thread of a request that was cancelled may still be at work.
                pool.later(reply.close)

    async def _begin(
        self, pool: BoundedPool, reply: Reply, environ: Environ, receive: Receive
    ) -> tuple[bytes, bool]:
        try:
            owner = self._admit(environ)
            await _read_body(environ, receive)
            return await pool.run_for(owner, reply.begin)
        except (RateLimited, Busy) as refusal:
            # On the loop: the first thing that the application does is to refuse, which waits for
            # nothing (see ApiMiddleware).
            environ["parley.refusal"] = refusal
            environ["parley.delay"] = REFUSAL_DELAY
            return reply.begin()


async def _delay(environ: Environ) -> None:
    """Wait for as long as the view wishes, with no thread held."""
    seconds = environ.get("parley.delay", 0.0)
    if seconds > 0:
        await asyncio.sleep(min(seconds, LONGEST_DELAY))


async def _send_rest(pool: BoundedPool, reply: Reply, receive: Receive, send: Send) -> None:
    """Send the parts after the first, for as long as the client is there."""
    gone = asyncio.create_task(_hung_up(receive))
    try:
        more = True
        while more and not gone.done():
            part, more = await pool.run(reply.read)
            async with asyncio.timeout(settings.SERVER_WRITE_TIMEOUT):
                await _send_part(send, part, more)
    except Busy:
        # The server hangs up on an answer that is not complete, which tells the client.
        return
    finally:
        gone.cancel()


async def _send_part(send: Send, part: bytes, more: bool) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": more})


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read_body(environ: Environ, receive: Receive) -> None:
    """Read the whole body into `wsgi.input`, or note why it cannot be had."""
    if environ["parley.body_too_large"]:
        return
    # To ask for the body has the server tell a client to go on that waits for that.
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
    # What was announced may be a lie; what arrived is the length.
    environ["parley.body_too_large"] = size > settings.BODY_LIMIT
    environ["CONTENT_LENGTH"] = str(min(size, settings.BODY_LIMIT))
    body.seek(0)


def _announced(scope: Scope) -> int:
    """Return how long the body is to be, 0 where that is not said."""
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
        "parley.arrived": time.time(),
        "parley.body_too_large": _announced(scope) > settings.BODY_LIMIT,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").upper(), raw_value.decode("latin-1")
        # X_Forwarded_For would come out as the key of X-Forwarded-For, past a proxy that sets that.
        if "_" in name or name in {"CONTENT-LENGTH", "TRANSFER-ENCODING"}:
            continue
        key = "CONTENT_TYPE" if name == "CONTENT-TYPE" else f"HTTP_{name.replace('-', '_')}"
        value = value[: LONGEST_VALUES.get(name)]
        joint = "; " if name == "COOKIE" else ","
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    return environ
