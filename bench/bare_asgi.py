"""The limit of an answer over HTTP in Python: a bare ASGI function. GET /1500 has 1,500 bytes."""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Message = dict[str, Any]


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer with a body of the size that the path names."""
    start, body = _answer(int(scope["path"][1:]))
    await send(start)
    await send(body)


@cache
def _answer(size: int) -> tuple[Message, Message]:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % size)]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    return start, {"type": "http.response.body", "body": b"x" * size}
