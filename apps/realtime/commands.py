"""The commands of the websocket that need no feature (contract 7.2)."""

from collections.abc import Mapping
from typing import Any

from apps.core.http.envelope import timestamp
from apps.realtime.frames import render
from apps.realtime.presence import presence_of
from apps.realtime.registry import audience_of, command
from apps.realtime.serializers import PresenceQuery, SubscribeInput, UnsubscribeInput
from apps.realtime.sockets import Socket
from apps.realtime.threads import in_thread


@command("ping")
async def ping(socket: Socket, data: Mapping[str, Any]) -> None:
    """Answer `pong` with the heads of the socket's streams."""
    pong = {"timestamp": timestamp(), "streams": socket.heads()}
    socket.push(render("pong", pong, socket.echo()))


@command("subscribe")
async def subscribe(socket: Socket, data: Mapping[str, Any]) -> None:
    """Follow a stream, after a number when one is given."""
    wish = SubscribeInput.read(data)
    await socket.follow(wish["stream"], wish.get("after"), wish.get("epoch", ""))


@command("unsubscribe")
async def unsubscribe(socket: Socket, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Stop following a stream."""
    stream = UnsubscribeInput.read(data)["stream"]
    socket.unfollow(stream)
    return {"stream": stream}


@command("presence")
async def presence(socket: Socket, data: Mapping[str, Any]) -> None:
    """Answer `presence` of those of the people that the visitor may know it of."""
    asked = set(PresenceQuery.read(data)["user_ids"])

    def look() -> Mapping[str, Any]:
        known = audience_of(socket.visitor.user_id) & asked
        return {str(user): seen.as_dict() for user, seen in presence_of(known).items()}

    seen = await in_thread(look)
    socket.push(render("presence", {"presence": seen}, socket.echo()))
