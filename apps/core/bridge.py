"""REST on Django's WSGI handler, one thread hop away from the ASGI server.

The WSGI handler serves several times what the ASGI one does (docs/decisions/0001-http-engine.md).
A thread is taken only once a body is complete and given back before a slow client reads its
answer, so that a handful of threads serves any number of slow clients.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from django.conf import settings

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Environ = dict[str, Any]

SPOOL_BYTES = 256 * 1024
CHUNK_BYTES = 256 * 1024


class ClientGone(Exception):
    """The client hung up before its request was complete."""


@dataclass
class Reply:
    """What the WSGI application answered: its head, and the rest of its body."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: Iterable[bytes] = ()
    chunks: Iterator[bytes] = field(default_factory=lambda: iter(()))

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        """Take the head: WSGI's start_response."""
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers]

    def add_length(self, length: int) -> None:
        """Say how long the body is, unless the application did."""
        if all(name != b"content-length" for name, _ in self.headers):
            self.headers.append((b"content-length", str(length).encode()))

    def read(self) -> tuple[bytes, bool]:
        """Return the next part of the body and whether there is more; close after the last."""
        parts, size = [], 0
        for chunk in self.chunks:
            parts.append(chunk)
            size += len(chunk)
            if size >= CHUNK_BYTES:
                return b"".join(parts), True
        self.close()
        return b"".join(parts), False

    def close(self) -> None:
        """Let the application know that its answer is done with, which it may hear twice."""
        close = getattr(self.body, "close", None)
        self.body = ()
        if close is not None:
            close()


class WsgiBridge:
    """An ASGI application that answers HTTP with a WSGI one."""

    def __init__(self, application: Callable[..., Iterable[bytes]], threads: int) -> None:
        self._application = application
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        environ = _environ(scope)
        try:
            await _read_body(environ, receive)
        except ClientGone:
            return
        loop = asyncio.get_running_loop()
        reply, part, more = await loop.run_in_executor(self._pool, self._call, environ)
        try:
            async with asyncio.timeout(settings.SERVER_WRITE_TIMEOUT):
                await send(
                    {
                        "type": "http.response.start",
                        "status": reply.status,
                        "headers": reply.headers,
                    }
                )
                await send({"type": "http.response.body", "body": part, "more_body": more})
            while more:
                part, more = await loop.run_in_executor(self._pool, reply.read)
                async with asyncio.timeout(settings.SERVER_WRITE_TIMEOUT):
                    await send({"type": "http.response.body", "body": part, "more_body": more})
        finally:
            if more:
                await loop.run_in_executor(self._pool, reply.close)
            environ["wsgi.input"].close()

    def _call(self, environ: Environ) -> tuple[Reply, bytes, bool]:
        reply = Reply()
        reply.body = self._application(environ, reply.start)
        reply.chunks = iter(reply.body)
        part, more = reply.read()
        if not more and reply.status not in {204, 304}:
            reply.add_length(len(part))
        return reply, part, more


async def _read_body(environ: Environ, receive: Receive) -> None:
    """Read the whole body into `wsgi.input`, or note why it cannot be had."""
    body: IO[bytes] = SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115
    size, more = 0, True
    environ["wsgi.input"] = body
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


def _environ(scope: Scope) -> Environ:
    """Return the WSGI environment (PEP 3333) of an ASGI scope, without its body."""
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
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "parley.arrived": time.time(),
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").upper(), raw_value.decode("latin-1")
        # X_Forwarded_For would come out as the key of X-Forwarded-For, past a proxy that sets that.
        if "_" in name or name in {"CONTENT-LENGTH", "TRANSFER-ENCODING"}:
            continue
        key = "CONTENT_TYPE" if name == "CONTENT-TYPE" else f"HTTP_{name.replace('-', '_')}"
        joint = "; " if name == "COOKIE" else ","
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    return environ
