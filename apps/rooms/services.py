"""Entering and leaving rooms. Who is inside is no row of the database, so nothing is locked."""

from uuid import UUID

from apps.realtime.registry import announce_rooms
from apps.realtime.rooms import RoomEntry, room_leave, room_store
from apps.rooms.errors import RoomNotFound
from apps.rooms.selectors import Room, require_viewer, room_get


def room_enter(user_id: UUID, *, room: str, device: str) -> None:
    """Have a device of the user enter a room, or stay inside, and announce them if they were not
    inside; raise RoomNotFound or RoomsUnavailable."""
    require_viewer(user_id, room)
    announce_rooms(room_store().enter([RoomEntry(room, user_id, device)]))


def room_entered(user_id: UUID, *, room: str, device: str) -> Room:
    """Return a room that a device of the user has entered. If they may not see any more what it is
    about, the device leaves; raises RoomNotFound or RoomsUnavailable.

    It is asked after the device receives the signals of the room, so that nobody who enters is in
    neither of both.
    """
    try:
        return room_get(user_id, room)
    except RoomNotFound:
        room_leave([RoomEntry(room, user_id, device)])
        raise


def room_join(user_id: UUID, *, room: str, device: str) -> Room:
    """Have a device that receives no signals enter a room, or stay inside, and return the room;
    raise RoomNotFound or RoomsUnavailable."""
    room_enter(user_id, room=room, device=device)
    return room_entered(user_id, room=room, device=device)


def room_left(user_id: UUID, *, room: str, device: str) -> Room:
    """Have a device of the user leave a room, and return it; raise RoomNotFound or
    RoomsUnavailable."""
    room_leave([RoomEntry(room, user_id, device)])
    return room_get(user_id, room)
