"""The limit of a request that waits in Python: a bare ASGI function, without access, limits or log.

Every GET waits until a POST sends its body to all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

waiting: list["asyncio.Future[bytes]"] = []


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Wait for a body, or answer all that wait."""
    body = b""
    if scope["method"] == "GET":
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        waiting.append(answered)
        body = await answered
    else:
        await answer_all(receive)
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def answer_all(receive: Receive) -> None:
    """Answer every request that waits with the body of this one."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    for one in waiting:
        one.set_result(body)
    waiting.clear()
