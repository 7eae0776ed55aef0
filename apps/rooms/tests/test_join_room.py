"""What the command `join_room` leaves behind when it is refused."""

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest

from apps.core.errors import Busy, DomainError
from apps.core.ids import uuid7
from apps.realtime import rooms
from apps.realtime.errors import RoomsUnavailable
from apps.realtime.rooms import RoomEntry, room_store
from apps.realtime.sockets import Identity, PresenceEntry
from apps.rooms import commands, services
from apps.rooms.errors import RoomNotFound


def socket_in(inside: set[str]) -> Any:
    """Return a socket that is inside these rooms."""
    user, session = uuid7(), uuid7()

    async def enter_room(room: str) -> None:
        inside.add(room)

    made = Mock(rooms=inside, identity=Identity(user, session), enter_room=enter_room)
    made.entry = PresenceEntry(user, session, str(uuid7()))
    made.leave_room = inside.discard
    return made


@pytest.mark.parametrize(
    ("was_inside", "refusal", "stays"),
    [
        (True, RoomsUnavailable, True),
        (True, Busy, True),
        (True, RoomNotFound, False),
        (False, RoomsUnavailable, False),
        (False, Busy, False),
        (False, RoomNotFound, False),
    ],
)
@pytest.mark.parametrize("refusing", ["thread", "read"])
def test_a_socket_that_was_inside_stays_unless_its_user_may_not_be_there(
    was_inside: bool,
    refusal: type[DomainError],
    stays: bool,
    refusing: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who is inside by the store is who is inside by the socket."""
    room = f"room.{uuid7()}"

    async def run_here(work: Any, **given: Any) -> Any:
        if refusing == "thread" and work is services.room_entered and refusal is not RoomNotFound:
            raise refusal
        return work(**given)

    monkeypatch.setattr(commands, "in_redis_thread", run_here)
    monkeypatch.setattr(commands, "later", lambda work: work())
    monkeypatch.setattr(commands, "consume_action", Mock())
    for module in (services, rooms):
        monkeypatch.setattr(module, "announce_rooms", Mock())
    monkeypatch.setattr(services, "require_viewer", Mock())
    monkeypatch.setattr(services, "room_get", Mock(side_effect=refusal))
    socket = socket_in({room} if was_inside else set())
    if was_inside:
        entry = RoomEntry(room, socket.identity.user_id, socket.entry.socket_id)
        room_store().enter([entry])

    async def join() -> None:
        await commands.join_room(socket, {"room": room})

    with pytest.raises(refusal):
        asyncio.run(join())
    assert socket.rooms == ({room} if stays else set())
    assert room_store().inside(room, 10) == ([socket.identity.user_id] if stays else [])
