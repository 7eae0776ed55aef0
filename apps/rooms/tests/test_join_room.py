"""What the command `join_room` leaves behind when it is refused."""

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest

from apps.core.errors import DomainError
from apps.core.ids import uuid7
from apps.realtime.errors import RoomsUnavailable
from apps.realtime.sockets import Identity, PresenceEntry
from apps.rooms import commands, services
from apps.rooms.errors import RoomNotFound

ROOM = "room.deck"


def socket_in(rooms: set[str]) -> Any:
    """Return a socket that is inside these rooms."""
    user, session = uuid7(), uuid7()

    async def enter_room(room: str) -> None:
        rooms.add(room)

    made = Mock(rooms=rooms, identity=Identity(user, session), enter_room=enter_room)
    made.entry = PresenceEntry(user, session, str(uuid7()))
    made.leave_room = rooms.discard
    return made


@pytest.mark.parametrize(
    ("before", "refusal", "after"),
    [
        ({ROOM}, RoomsUnavailable, {ROOM}),
        ({ROOM}, RoomNotFound, set()),
        (set(), RoomsUnavailable, set()),
        (set(), RoomNotFound, set()),
    ],
)
def test_a_socket_that_was_inside_stays_unless_its_user_may_not_be_there(
    before: set[str],
    refusal: type[DomainError],
    after: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run_here(work: Any, **given: Any) -> Any:
        return work(**given)

    monkeypatch.setattr(commands, "in_redis_thread", run_here)
    monkeypatch.setattr(commands, "_enter", Mock())
    monkeypatch.setattr(services, "room_entered", Mock(side_effect=refusal))
    socket = socket_in(set(before))

    async def join() -> None:
        await commands.join_room(socket, {"room": ROOM})

    with pytest.raises(refusal):
        asyncio.run(join())
    assert socket.rooms == after
