"""The limit of a fan-out in Python: no Django, no Channels, one loop over all sockets.

POST sends its body as one text frame to every socket.
"""

from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

sockets: set[Send] = set()


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Hold a websocket, or send the posted body to all of them."""
    if scope["type"] == "websocket":
        await hold(receive, send)
    else:
        await send_to_all(receive, send)


async def hold(receive: Receive, send: Send) -> None:
    """Accept the websocket and keep it until it is closed."""
    await receive()
    await send({"type": "websocket.accept"})
    sockets.add(send)
    try:
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        sockets.discard(send)


async def send_to_all(receive: Receive, send: Send) -> None:
    """Send the body of the request to every websocket."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    frame = {"type": "websocket.send", "text": body.decode()}
    for to_socket in tuple(sockets):
        await to_socket(frame)
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b""})
