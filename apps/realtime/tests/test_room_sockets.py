"""Which sockets of a process receive the signals of a room."""

from typing import Any
from unittest.mock import Mock

import pytest

from apps.core.ids import uuid7
from apps.realtime import room_sockets
from apps.realtime.frames import Frame
from apps.realtime.room_sockets import RoomSockets
from apps.realtime.sockets import Identity, PresenceEntry

ROOM = "room.deck"


def socket() -> Any:
    """Return a socket of a user of its own."""
    user, session = uuid7(), uuid7()
    made = Mock(rooms=set(), identity=Identity(user, session))
    made.entry = PresenceEntry(user, session, str(uuid7()))
    return made


def frame(about: Any, version: int, room: str = ROOM) -> Frame:
    """Return a signal about the user of a socket, with its version as its content."""
    return Frame(f"room:{room}", None, str(version), str(about.identity.user_id), version)


def received(one: Any) -> list[str]:
    return [call.args[0] for call in one.push.call_args_list]


def test_a_signal_reaches_the_others_inside_its_room() -> None:
    ada, bob, carol = socket(), socket(), socket()
    here = RoomSockets()
    here.add(ada, ROOM)
    here.add(bob, ROOM)
    here.add(carol, "room.mast")
    here.deliver(frame(bob, 1))
    assert (received(ada), received(bob), received(carol)) == (["1"], [], [])
    here.remove(ada, ROOM)
    here.deliver(frame(bob, 2))
    assert received(ada) == ["1"]


def test_of_the_signals_about_one_user_an_older_one_is_not_delivered() -> None:
    ada, bob, carol = socket(), socket(), socket()
    here = RoomSockets()
    here.add(ada, ROOM)
    for one in (frame(bob, 2), frame(bob, 1), frame(carol, 1), frame(bob, 3)):
        here.deliver(one)
    assert received(ada) == ["2", "1", "3"]


def test_the_versions_of_few_users_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_sockets, "VERSIONS", 2)
    ada = socket()
    here = RoomSockets()
    here.add(ada, ROOM)
    for _ in range(5):
        here.deliver(frame(socket(), 1))
    assert len(here._versions[ROOM]) == 2
    here.remove(ada, ROOM)
    assert not here._versions
    assert not here._inside


def test_an_expelled_user_is_told_so_on_each_of_their_sockets() -> None:
    ada, bob = socket(), socket()
    here = RoomSockets()
    for one in (ada, bob):
        here.add(one, ROOM)
    here.expel(ada.identity.user_id, ROOM)
    [told] = received(ada)
    assert '"left_room"' in told
    assert (ada.rooms, bob.rooms) == (set(), {ROOM})
    assert received(bob) == []


def test_the_rooms_that_were_not_checked_for_longest_are_next() -> None:
    here = RoomSockets()
    for number in range(3):
        here.add(socket(), f"room.{number}")
    assert [*here.next_to_check(2)] == ["room.0", "room.1"]
    assert [*here.next_to_check(2)] == ["room.2", "room.0"]
