"""The limit of direct messages in Python: no Django, no database, one loop over all sockets.

A client names its user in the token. A message goes to its receiver, and an ack back.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

sockets: dict[str, Send] = {}


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Hold a websocket, and pass on what it sends."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    user = dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer ")
    sockets[user] = send
    while (message := await receive())["type"] != "websocket.disconnect":
        asked = orjson.loads(message["text"])
        stored = {"senderId": user, **asked["data"]}
        await tell(sockets[stored["receiverId"]], "chat_message", {"message": stored})
        await tell(send, "ack", {"message": stored}, requestId=asked["requestId"])


async def tell(send: Send, kind: str, data: dict[str, Any], **more: str) -> None:
    """Send a frame to one socket."""
    text = orjson.dumps({"type": kind, "data": data, **more}).decode()
    await send({"type": "websocket.send", "text": text})
