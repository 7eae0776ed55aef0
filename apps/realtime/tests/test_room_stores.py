"""The stores of rooms: who enters, who leaves, and who is inside. Both behave alike."""

import time
from typing import Any

import pytest
from django.conf import settings

from apps.core.ids import uuid7
from apps.core.redis import RedisDown, with_redis
from apps.realtime import redis_rooms, rooms
from apps.realtime.errors import RoomsUnavailable
from apps.realtime.local_rooms import LocalRooms
from apps.realtime.redis_rooms import RedisRooms
from apps.realtime.rooms import RoomChange, RoomEntry, RoomStore
from testing.server import until

needs_redis = pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")

ADA, BOB = uuid7(), uuid7()


@pytest.fixture(params=[LocalRooms, pytest.param(RedisRooms, marks=needs_redis)])
def store(request: pytest.FixtureRequest) -> RoomStore:
    made: RoomStore = request.param()
    return made


@pytest.fixture
def room() -> str:
    """A room that no other test uses, since Redis is shared."""
    return f"room.{uuid7()}"


def changed(changes: list[RoomChange]) -> list[tuple[Any, bool, int]]:
    """Return who entered or left, and how many were inside then."""
    return [(one.user_id, one.inside, one.count) for one in changes]


def test_only_the_first_device_of_a_user_enters(store: RoomStore, room: str) -> None:
    assert changed(store.enter([RoomEntry(room, ADA, "phone")])) == [(ADA, True, 1)]
    assert store.enter([RoomEntry(room, ADA, "tablet")]) == []
    both = [RoomEntry(room, ADA, "phone"), RoomEntry(room, BOB, "phone")]
    assert changed(store.enter(both)) == [(BOB, True, 2)]
    assert set(store.inside(room, 10)) == {ADA, BOB}
    assert store.count(room) == 2


def test_only_the_last_device_of_a_user_leaves(store: RoomStore, room: str) -> None:
    phone, tablet = RoomEntry(room, ADA, "phone"), RoomEntry(room, ADA, "tablet")
    [entered] = store.enter([phone, tablet])
    assert store.leave([phone]) == []
    assert store.inside(room, 10) == [ADA]
    [left] = store.leave([tablet])
    assert changed([left]) == [(ADA, False, 0)]
    assert left.version > entered.version
    assert store.leave([tablet]) == []
    assert store.inside(room, 10) == []
    assert store.count(room) == 0


def test_rooms_are_apart(store: RoomStore, room: str) -> None:
    store.enter([RoomEntry(room, ADA, "phone")])
    other = f"{room}-2"
    assert changed(store.enter([RoomEntry(other, ADA, "phone")])) == [(ADA, True, 1)]
    store.leave([RoomEntry(other, ADA, "phone")])
    assert store.inside(room, 10) == [ADA]


def test_a_user_who_is_expelled_leaves_with_all_of_their_devices(
    store: RoomStore, room: str
) -> None:
    store.enter([RoomEntry(room, ADA, device) for device in ("phone", "tablet")])
    store.enter([RoomEntry(room, BOB, "phone")])
    assert changed(store.expel(room, [ADA, uuid7()])) == [(ADA, False, 1)]
    assert store.inside(room, 10) == [BOB]
    assert changed(store.enter([RoomEntry(room, ADA, "phone")])) == [(ADA, True, 2)]


def test_a_device_that_is_not_refreshed_leaves_once(
    store: RoomStore, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "INSIDE_SECONDS", 1)
    store.enter([RoomEntry(room, ADA, "phone")])
    assert changed(until(lambda: expired(store, room))) == [(ADA, False, 0)]
    assert store.inside(room, 10) == []
    assert expired(store, room) == []
    assert changed(store.enter([RoomEntry(room, ADA, "phone")])) == [(ADA, True, 1)]


def test_a_device_that_is_refreshed_stays(
    store: RoomStore, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "INSIDE_SECONDS", 2)
    store.enter([RoomEntry(room, ADA, "phone"), RoomEntry(room, BOB, "phone")])

    def bob_left() -> list[RoomChange]:
        assert store.enter([RoomEntry(room, ADA, "phone")]) == []
        return expired(store, room)

    assert changed(until(bob_left)) == [(BOB, False, 1)]
    assert store.inside(room, 10) == [ADA]


def test_a_user_stays_no_longer_than_the_device_that_is_left(
    store: RoomStore, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of the tablet died, and then the phone leaves."""
    monkeypatch.setattr(rooms, "INSIDE_SECONDS", 1)
    store.enter([RoomEntry(room, ADA, "tablet")])
    monkeypatch.setattr(rooms, "INSIDE_SECONDS", 60)
    store.enter([RoomEntry(room, ADA, "phone")])
    assert store.leave([RoomEntry(room, ADA, "phone")]) == []
    assert changed(until(lambda: expired(store, room))) == [(ADA, False, 0)]


def test_no_more_users_are_listed_than_are_asked_for(store: RoomStore, room: str) -> None:
    store.enter([RoomEntry(room, uuid7(), "phone") for _ in range(5)])
    assert len(store.inside(room, 3)) == 3
    assert store.count(room) == 5


@needs_redis
def test_more_entries_than_one_script_takes_all_enter_and_leave(
    room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_rooms, "AT_ONCE", 2)
    store, entries = RedisRooms(), [RoomEntry(room, uuid7(), "phone") for _ in range(5)]
    users = [entry.user_id for entry in entries]
    assert [change.user_id for change in store.enter(entries)] == users
    assert [change.count for change in store.leave(entries)] == [4, 3, 2, 1, 0]


@needs_redis
def test_two_processes_share_their_rooms(room: str) -> None:
    one, other = RedisRooms(), RedisRooms()
    assert one.enter([RoomEntry(room, ADA, "phone")])
    assert other.enter([RoomEntry(room, ADA, "tablet")]) == []
    assert one.leave([RoomEntry(room, ADA, "phone")]) == []
    assert changed(other.leave([RoomEntry(room, ADA, "tablet")])) == [(ADA, False, 0)]


@needs_redis
def test_users_whom_redis_forgot_enter_again_when_they_are_refreshed(room: str) -> None:
    store, entry = RedisRooms(), RoomEntry(room, ADA, "phone")
    store.enter([entry])
    with_redis("session", lambda client: client.delete(redis_rooms._users_of(room)))
    assert store.inside(room, 10) == []
    assert changed(store.enter([entry])) == [(ADA, True, 1)]


@needs_redis
def test_every_key_ends_by_itself(room: str) -> None:
    store = RedisRooms()
    store.enter([RoomEntry(room, ADA, "phone")])
    users = redis_rooms._users_of(room)
    names = (users, f"{users}:{ADA}", store._until)
    left = with_redis("session", lambda client: [client.ttl(name) for name in names])
    assert all(0 < seconds <= 120 for seconds in left)


@needs_redis
def test_rooms_are_unavailable_while_redis_is_down(
    room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any) -> None:
        raise RedisDown

    monkeypatch.setattr(redis_rooms, "with_redis", down)
    with pytest.raises(RoomsUnavailable):
        RedisRooms().enter([RoomEntry(room, ADA, "phone")])
    with pytest.raises(RoomsUnavailable):
        RedisRooms().inside(room, 10)


@pytest.mark.parametrize("seconds", [-600, 600])
def test_the_clock_of_a_process_may_be_wrong(
    seconds: int, store: RoomStore, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is set while they are inside, and what they do afterwards is told of in order."""
    entries = [RoomEntry(room, user, "phone") for user in (ADA, BOB)]
    entered, _ = store.enter(entries)
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: int((right() + seconds) * 1_000_000_000))
    assert set(store.inside(room, 10)) == {ADA, BOB}
    [left] = store.leave(entries[:1])
    assert left.version > entered.version
    assert store.inside(room, 10) == [BOB]


def expired(store: RoomStore, room: str) -> list[RoomChange]:
    """Return who is gone from that one room; the store may be shared with other tests."""
    return [change for change in store.expired() if change.room == room]
