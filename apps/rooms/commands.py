"""Rooms over the websocket."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from apps.core.ratelimit import consume_action
from apps.realtime.registry import command
from apps.realtime.rooms import RoomEntry, room_leave
from apps.realtime.sockets import Socket
from apps.realtime.threads import in_redis_thread, later
from apps.rooms import services
from apps.rooms.errors import RoomNotFound, TooManyRooms
from apps.rooms.serializers import RoomInput, RoomOutput

ROOMS_PER_SOCKET = 20


@command("join_room", input=RoomInput, ack=RoomOutput)
async def join_room(socket: Socket, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Enter a room until you leave it or the socket closes, and receive its signals."""
    room, device = given["room"], _device(socket)
    was_inside = room in socket.rooms
    if not was_inside and len(socket.rooms) >= ROOMS_PER_SOCKET:
        raise TooManyRooms
    await in_redis_thread(_enter, room=room, **device)
    await socket.enter_room(room)
    try:
        inside = await in_redis_thread(services.room_entered, room=room, **device)
    except BaseException as error:
        # A socket that was inside before stays there, unless its user may not be there any more.
        if not was_inside or isinstance(error, RoomNotFound):
            socket.leave_room(room)
            later(partial(room_leave, [RoomEntry(room, **device)]))
        raise
    return RoomOutput.dump(inside)


@command("leave_room", input=RoomInput, ack=RoomOutput)
async def leave_room(socket: Socket, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave a room."""
    room = given["room"]
    socket.leave_room(room)
    left = await in_redis_thread(services.room_left, room=room, **_device(socket))
    return RoomOutput.dump(left)


def _enter(*, user_id: Any, room: str, device: str) -> None:
    consume_action("join_room", user_id)
    services.room_enter(user_id, room=room, device=device)


def _device(socket: Socket) -> dict[str, Any]:
    return {"user_id": socket.identity.user_id, "device": socket.entry.socket_id}
