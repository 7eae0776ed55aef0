"""The commands of the websocket that belong to no feature."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.core.http.envelope import timestamp
from apps.core.ratelimit import consume_action
from apps.realtime.presence import (
    PresenceChange,
    announce_presence,
    presence_of,
    presence_store,
)
from apps.realtime.registry import command, visible_to
from apps.realtime.serializers import (
    Activity,
    ActivityInput,
    PingInput,
    PresenceQuery,
    SubscribeInput,
    UnsubscribeAck,
    UnsubscribeInput,
)
from apps.realtime.socket_frames import Pong, PresenceAnswer, Reset, Subscribed
from apps.realtime.sockets import PresenceEntry, Socket
from apps.realtime.threads import in_redis_thread, in_thread


@command("ping", input=PingInput, answers=[Pong])
async def ping(socket: Socket, given: Mapping[str, Any]) -> None:
    """Ask for the heads of your streams."""
    socket.reply(Pong(timestamp=timestamp(), streams=socket.heads()))


@command("subscribe", input=SubscribeInput, answers=[Subscribed, Reset])
async def subscribe(socket: Socket, given: Mapping[str, Any]) -> None:
    """Subscribe to a stream. With `after`, the last number that you have of it, you also receive
    what you missed."""
    await socket.subscribe(given["stream"], given.get("after"), given.get("epoch", ""))


@command("unsubscribe", input=UnsubscribeInput, ack=UnsubscribeAck)
async def unsubscribe(socket: Socket, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Receive nothing more of a stream, until you subscribe again."""
    stream = given["stream"]
    socket.unsubscribe(stream)
    return {"stream": stream}


@command("activity", input=ActivityInput, ack=ActivityInput)
async def activity(socket: Socket, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say whether you are active at this device, or away from it. You are away when you are away
    from all of your devices; a new socket is active."""
    socket.set_away(given["state"] == Activity.AWAY)
    changes = await in_redis_thread(_change_activity, socket.entry)
    if changes:
        await in_thread(announce_presence, changes)
    return given


def _change_activity(entry: PresenceEntry) -> Sequence[PresenceChange]:
    consume_action("activity", entry.user_id)
    return presence_store().refresh([entry])


@command("presence", input=PresenceQuery, answers=[PresenceAnswer])
async def presence(socket: Socket, given: Mapping[str, Any]) -> None:
    """Ask which of some users are online. Users whom you neither follow nor have a conversation
    with are left out."""
    asked = set(given["user_ids"])

    def presence_of_visible() -> Mapping[str, Any]:
        visible = visible_to(socket.identity.user_id, asked)
        return {str(user): seen.as_dict() for user, seen in presence_of(visible).items()}

    socket.reply(PresenceAnswer(presence=await in_redis_thread(presence_of_visible)))
