"""The commands of the websocket that need no feature (contract 7.2)."""

from collections.abc import Mapping
from typing import Any

from apps.core.http.envelope import timestamp
from apps.realtime.presence import presence_of
from apps.realtime.registry import audience_of, command
from apps.realtime.serializers import (
    PingInput,
    PresenceQuery,
    SubscribeInput,
    UnsubscribedAnswer,
    UnsubscribeInput,
)
from apps.realtime.socket_frames import Pong, PresenceShown, Reset, Subscribed
from apps.realtime.sockets import Socket
from apps.realtime.threads import asking_redis


@command("ping", input=PingInput, answers=[Pong])
async def ping(socket: Socket, given: Mapping[str, Any]) -> None:
    """Ask for the heads of your streams."""
    socket.push(Pong(timestamp=timestamp(), streams=socket.heads()).render(socket.echo()))


@command("subscribe", input=SubscribeInput, answers=[Subscribed, Reset])
async def subscribe(socket: Socket, given: Mapping[str, Any]) -> None:
    """Subscribe to a stream, after the last number that you have of it if you give one."""
    await socket.subscribe(given["stream"], given.get("after"), given.get("epoch", ""))


@command("unsubscribe", input=UnsubscribeInput, ack=UnsubscribedAnswer)
async def unsubscribe(socket: Socket, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Get no more of a stream."""
    stream = given["stream"]
    socket.unsubscribe(stream)
    return {"stream": stream}


@command("presence", input=PresenceQuery, answers=[PresenceShown])
async def presence(socket: Socket, given: Mapping[str, Any]) -> None:
    """Ask which users are online, of those whom you have a conversation with."""
    asked = set(given["user_ids"])

    def look() -> Mapping[str, Any]:
        known = audience_of(socket.identity.user_id, asked)
        return {str(user): seen.as_dict() for user, seen in presence_of(known).items()}

    seen = await asking_redis(look)
    socket.push(PresenceShown(presence=seen).render(socket.echo()))
