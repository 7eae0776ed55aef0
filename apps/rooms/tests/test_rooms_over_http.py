"""Rooms for clients without a websocket."""

from typing import Any

import pytest
from django.db import transaction

from apps.accounts.models import User
from apps.accounts.tests.people import Person, set_status
from apps.chat.groups import member_remove
from apps.chat.models import Conversation
from apps.chat.tests.factories import group_of, new_message
from apps.core.errors import ServiceUnavailable
from apps.core.ids import uuid7
from apps.posts.services import post_delete, post_update
from apps.posts.tests.factories import draft_of, published_by
from apps.realtime import rooms as rooms_module
from apps.realtime.errors import RoomsUnavailable
from apps.realtime.rooms import RoomChange, room_store, rooms_expire
from apps.rooms import events
from apps.rooms.selectors import MOST_NAMED
from testing.server import until

pytestmark = pytest.mark.django_db


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The signals that were sent."""
    sent: list[Any] = []
    monkeypatch.setattr(events, "signal", lambda *some: sent.extend(some))
    return sent


def named() -> str:
    """Return the name of a room that no other test uses, since Redis is shared."""
    return f"room.{uuid7()}"


def presence(room: str) -> str:
    return f"/rooms/{room}/presence"


def listed(person: Person, room: str) -> list[str]:
    """Return the names of those who are inside."""
    return [one["name"] for one in person.get(presence(room)).json()["data"]]


def told(signals: list[Any]) -> list[tuple[str, str]]:
    """Return the types of the signals and the names of the users whom they are about."""
    return [(one.type, one.user["name"]) for one in signals]


def test_a_user_enters_with_the_first_post_and_stays_with_the_others(
    alice: Person, bob: Person, signals: list[Any]
) -> None:
    room = named()
    entered = alice.post(presence(room))
    assert entered.status_code == 200
    assert entered.json()["message"] == "Room joined"
    assert entered.json()["data"]["room"] == room
    assert [one["name"] for one in entered.json()["data"]["members"]] == ["Alice"]
    assert "email" not in entered.json()["data"]["members"][0]
    assert alice.post(presence(room)).json()["data"]["count"] == 1
    assert alice.another_device().post(presence(room)).json()["data"]["count"] == 1
    assert bob.post(presence(room)).json()["data"]["count"] == 2
    assert told(signals) == [("user_joined_room", "Alice"), ("user_joined_room", "Bob")]
    assert listed(bob, room) == ["Bob", "Alice"]


def test_a_user_leaves_with_the_last_of_their_devices(alice: Person, signals: list[Any]) -> None:
    room, tablet = named(), alice.another_device()
    for device in (alice, tablet):
        device.post(presence(room))
    alice.delete(presence(room))
    assert listed(alice, room) == ["Alice"]
    left = tablet.delete(presence(room))
    assert (left.status_code, left.json()["message"]) == (200, "Room left")
    assert listed(alice, room) == []
    tablet.delete(presence(room))
    assert told(signals) == [("user_joined_room", "Alice"), ("user_left_room", "Alice")]


def test_a_user_who_posts_no_more_is_gone(
    alice: Person, bob: Person, signals: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms_module, "INSIDE_SECONDS", 1)
    room = named()
    alice.post(presence(room))

    def alice_left() -> bool:
        rooms_expire()
        return ("user_left_room", "Alice") in told(signals)

    until(alice_left)
    assert listed(bob, room) == []


def test_who_is_inside_comes_in_pages(alice: Person, bob: Person, carol: Person) -> None:
    room = named()
    for one in (alice, bob, carol):
        one.post(presence(room))
    first = alice.get(presence(room), {"limit": 2}).json()
    assert [one["name"] for one in first["data"]] == ["Carol", "Bob"]
    assert first["pagination"]["total"] == 3
    rest = {"limit": 2, "cursor": first["pagination"]["nextCursor"]}
    assert [one["name"] for one in alice.get(presence(room), rest).json()["data"]] == ["Alice"]


def test_rooms_that_one_may_not_see_are_not_found_like_those_that_do_not_exist(
    alice: Person, bob: Person, carol: Person
) -> None:
    draft, message = draft_of(bob), new_message(bob, carol)
    group = group_of(bob.user, carol.user)
    hidden = [f"post.{draft.pk}", f"conversation.{message.conversation_id}"]
    hidden += [f"conversation.{group.pk}"]
    missing = [f"post.{uuid7()}", f"conversation.{uuid7()}", "boat.deck", f"post.{'x' * 36}"]
    missing += [f"room.{'x' * 65}", "room.Deck", "room", "feed", f"user.{alice.id}"]
    missing += [f"post.{str(published_by(bob).pk).upper()}"]
    for room in hidden + missing:
        for refused in (
            alice.get(presence(room)),
            alice.post(presence(room)),
            alice.delete(presence(room)),
        ):
            assert (refused.status_code, refused.json()["code"]) == (404, "NOT_FOUND"), room
    for room in hidden:
        assert alice.get(presence(room)).json()["message"] == "Room not found"
        assert room_store().count(room) == 0
        assert bob.post(presence(room)).status_code == 200


def test_only_users_enter_rooms(anonymous: Any) -> None:
    room = named()
    assert anonymous.post(f"/api/v1{presence(room)}").status_code == 401
    assert room_store().count(room) == 0


@pytest.mark.django_db(transaction=True)
def test_those_leave_from_whom_a_post_is_hidden(
    alice: Person, bob: Person, moderator: Person, signals: list[Any]
) -> None:
    post = published_by(bob)
    room = f"post.{post.pk}"
    for one in (alice, bob, moderator):
        one.post(presence(room))
    signals.clear()
    post_update(bob.user, post_id=post.pk, title="Harbour lights at night")
    assert told(signals) == []
    post_update(bob.user, post_id=post.pk, status="archived")
    assert told(signals) == [("user_left_room", "Alice")]
    assert sorted(listed(bob, room)) == ["Bob", "Morton"]
    assert alice.post(presence(room)).status_code == 404
    post_delete(bob.user, post_id=post.pk)
    assert {name for _, name in told(signals)} == {"Alice", "Bob", "Morton"}
    assert room_store().count(room) == 0


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_rolled_back_makes_nobody_leave(alice: Person, bob: Person) -> None:
    post = published_by(bob)
    room = f"post.{post.pk}"
    alice.post(presence(room))
    with transaction.atomic():
        post_update(bob.user, post_id=post.pk, status="archived")
        transaction.set_rollback(True)
    assert listed(bob, room) == ["Alice"]


@pytest.mark.django_db(transaction=True)
def test_a_member_who_is_removed_from_a_group_leaves_its_room(
    alice: Person, bob: Person, signals: list[Any]
) -> None:
    group: Conversation = group_of(alice.user, bob.user)
    room = f"conversation.{group.pk}"
    for one in (alice, bob):
        one.post(presence(room))
    member_remove(alice.user, conversation_id=group.pk, user_id=bob.user.pk)
    assert told(signals)[-1] == ("user_left_room", "Bob")
    assert listed(alice, room) == ["Alice"]
    assert bob.get(presence(room)).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_a_suspended_user_is_not_shown_inside(alice: Person, bob: Person) -> None:
    room = named()
    alice.post(presence(room))
    set_status(alice.user, User.Status.SUSPENDED)
    assert listed(bob, room) == []
    assert bob.post(presence(room)).json()["data"]["members"][0]["name"] == "Bob"
    assert alice.post(presence(room)).status_code == 401


def test_entering_is_limited(alice: Person, bob: Person, settings: Any) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(join_room=2)
    rooms = [named() for _ in range(3)]
    assert [alice.post(presence(room)).status_code for room in rooms] == [200, 200, 429]
    assert room_store().count(rooms[2]) == 0
    assert bob.post(presence(rooms[2])).status_code == 200


def test_an_answer_names_so_many_users_and_counts_all(
    alice: Person, bob: Person, carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_NAMED == 100
    monkeypatch.setattr("apps.rooms.selectors.MOST_NAMED", 2)
    room = named()
    for one in (alice, bob):
        one.post(presence(room))
    shown = carol.post(presence(room)).json()["data"]
    assert (len(shown["members"]), shown["count"]) == (2, 3)


def test_nobody_is_told_of_changes_of_a_large_room(alice: Person, signals: list[Any]) -> None:
    for count in (100, 101):
        events.rooms_changed([RoomChange("room.deck", alice.user.pk, True, 1, count)])
    assert told(signals) == [("user_joined_room", "Alice")]


def test_a_store_that_cannot_be_reached_is_503(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any) -> None:
        raise RoomsUnavailable

    for name in ("enter", "leave", "inside", "count"):
        monkeypatch.setattr(type(room_store()), name, unreachable)
    room = named()
    for refused in (alice.get(presence(room)), alice.post(presence(room))):
        assert (refused.status_code, refused.json()["code"]) == (503, ServiceUnavailable.code)
        assert refused["Retry-After"]
