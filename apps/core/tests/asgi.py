"""An ASGI client and a WSGI application for the tests of the bridge between them."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from apps.core.http.bridge import WsgiBridge
from apps.core.tests.hanging import pool_of
from apps.core.threads import BoundedPool

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

SCOPE = {
    "type": "http",
    "method": "POST",
    "http_version": "1.1",
    "path": "/api/v1/nothing",
    "query_string": b"",
    "headers": [],
    "client": ("10.1.2.3", 1234),
    "server": ("127.0.0.1", 8080),
}


async def served(
    application: Application,
    *parts: bytes,
    pool: BoundedPool | None = None,
    ends: bool = True,
    hang_up: bool = False,
    sent: list[dict[str, Any]] | None = None,
    check_limit: Callable[[dict[str, Any]], str] = lambda environ: "",
    **scope: Any,
) -> list[dict[str, Any]]:
    """Return what the bridge sends to a client that sends its body in these parts."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if ends:
        messages.append({"type": "http.request", "body": b"", "more_body": False})
    if hang_up:
        messages.append({"type": "http.disconnect"})
    sent = [] if sent is None else sent
    pool = pool or pool_of(1)

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await WsgiBridge(application, lambda *_: pool, check_limit)(SCOPE | scope, receive, send)
    return sent


def bridge_to(application: Application, pool: BoundedPool) -> WsgiBridge:
    """Return a bridge without a rate limit."""
    return WsgiBridge(application, lambda *_: pool, lambda environ: "")


def call(application: Application, *parts: bytes, **options: Any) -> list[dict[str, Any]]:
    """Return what served() returns."""
    return asyncio.run(served(application, *parts, **options))


def status(sent: list[dict[str, Any]]) -> int:
    return int(sent[0]["status"])


def header(sent: list[dict[str, Any]], name: bytes) -> str:
    value: bytes = dict(sent[0]["headers"])[name]
    return value.decode()


class Echo:
    """A WSGI application that records its request and how often it was closed."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts or (b"ok",)
        self.environ: dict[str, Any] = {}
        self.body = b""
        self.closed = 0

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        self.environ, self.body = environ, environ["wsgi.input"].read()
        start("200 OK", [("X-Said", "é")])
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts)

    def close(self) -> None:
        self.closed += 1
