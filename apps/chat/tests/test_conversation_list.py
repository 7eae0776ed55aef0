"""The list of a user's conversations."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.tests.people import Person, person
from apps.chat.models import Message
from apps.chat.receipts import messages_mark_delivered, messages_mark_read
from apps.chat.selectors import direct_memberships
from apps.chat.services import message_delete
from apps.chat.tests.factories import new_message, new_messages
from apps.core.ids import uuid7
from apps.realtime import presence
from apps.realtime.models import LastSeen
from apps.realtime.presence import presence_store
from apps.realtime.sockets import PresenceEntry
from testing.client import ContractClient
from testing.server import until

pytestmark = pytest.mark.django_db


def listed(reader: Person, **query: Any) -> Any:
    """Return the body of the response with a user's conversations."""
    response = reader.get("/messages/conversations", query)
    assert response.status_code == 200, response.content
    return response.json()


def partners(reader: Person, **query: Any) -> list[str]:
    """Return the names of the other users of the conversations, in their order."""
    return [one["user"]["name"] for one in listed(reader, **query)["data"]]


def unread(reader: Person) -> dict[str, int]:
    """Return the unread count of each conversation by the name of the other user."""
    return {one["user"]["name"]: one["unreadCount"] for one in listed(reader)["data"]}


def delete(message: Message) -> None:
    """Delete a message as its sender."""
    message_delete(message.sender, message_id=message.pk)


def test_conversation_shows_the_other_user_and_the_last_message(alice: Person, bob: Person) -> None:
    new_message(alice, bob, "First")
    last = new_message(alice, bob, "Last")
    body = listed(bob)
    assert body["message"] == "Conversations retrieved successfully"
    [conversation] = body["data"]
    assert conversation["id"] == str(last.conversation_id)
    assert (conversation["userId"], conversation["user"]["id"]) == (alice.id, alice.id)
    assert alice.user.email not in str(body)
    [newest, _] = bob.get("/messages", {"userId": alice.id}).json()["data"]
    assert conversation["lastMessage"] == newest
    assert newest["id"] == str(last.pk)


def test_latest_conversation_comes_first(alice: Person, bob: Person, carol: Person) -> None:
    new_message(alice, bob), new_message(carol, alice)
    assert partners(alice) == ["Carol", "Bob"]
    new_message(bob, alice)
    assert partners(alice) == ["Bob", "Carol"]
    new_message(alice, carol)
    assert partners(alice) == ["Carol", "Bob"]


def test_each_pair_of_users_has_one_conversation(alice: Person, bob: Person, carol: Person) -> None:
    for _ in range(3):
        new_message(alice, bob), new_message(bob, alice)
    new_message(bob, carol)
    assert partners(alice) == ["Bob"]
    assert partners(bob) == ["Carol", "Alice"]
    assert partners(carol) == ["Bob"]


def test_unread_messages_are_counted_for_the_receiver_only(
    alice: Person, bob: Person, carol: Person
) -> None:
    new_messages(alice, bob, 3), new_messages(carol, bob, 2), new_messages(bob, alice, 4)
    assert unread(bob) == {"Alice": 3, "Carol": 2}
    assert unread(alice) == {"Bob": 4}
    assert unread(carol) == {"Bob": 0}


def test_delivered_message_stays_unread_until_it_is_read(alice: Person, bob: Person) -> None:
    messages = [new_message(alice, bob) for _ in range(3)]
    ids = [message.pk for message in messages]
    messages_mark_delivered(bob.user.pk, message_ids=ids[:2])
    assert unread(bob) == {"Alice": 3}
    messages_mark_read(bob.user.pk, message_ids=ids[:1])
    assert unread(bob) == {"Alice": 2}
    messages_mark_read(bob.user.pk, message_ids=ids)
    assert unread(bob) == {"Alice": 0}


def test_deleted_message_is_not_counted_as_unread(alice: Person, bob: Person) -> None:
    new_message(alice, bob)
    delete(new_message(alice, bob))
    assert unread(bob) == {"Alice": 1}


def test_last_message_is_never_a_deleted_one(alice: Person, bob: Person) -> None:
    messages = [new_message(alice, bob), new_message(bob, alice), new_message(alice, bob)]
    for gone, last in ((2, 1), (0, 1)):
        delete(messages[gone])
        for reader in (alice, bob):
            assert listed(reader)["data"][0]["lastMessage"]["id"] == str(messages[last].pk)


def test_conversation_moves_back_when_its_last_message_is_deleted(
    alice: Person, bob: Person, carol: Person
) -> None:
    new_message(alice, bob), new_message(alice, carol)
    gone = new_message(alice, bob)
    assert partners(alice) == ["Bob", "Carol"]
    delete(gone)
    assert partners(alice) == ["Carol", "Bob"]


def test_conversation_without_visible_messages_is_not_listed(alice: Person, bob: Person) -> None:
    for message in [new_message(alice, bob), new_message(bob, alice)]:
        delete(message)
    for reader in (alice, bob):
        assert listed(reader)["data"] == []
        assert listed(reader)["pagination"]["total"] == 0


def test_conversation_is_listed_again_after_its_next_message(alice: Person, bob: Person) -> None:
    delete(new_message(alice, bob))
    message = new_message(bob, alice)
    for reader in (alice, bob):
        [conversation] = listed(reader)["data"]
        assert conversation["lastMessage"]["id"] == str(message.pk)
        assert conversation["lastMessage"]["seq"] == 2


def test_conversation_shows_whether_the_other_user_is_online(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "GRACE_SECONDS", 0)
    new_message(alice, bob)
    device = PresenceEntry(bob.user.pk, uuid7(), "socket")
    presence_store().arrive([device])
    try:
        assert listed(alice)["data"][0]["isOnline"] is True
    finally:
        presence_store().leave([device])
    until(lambda: listed(alice)["data"][0]["isOnline"] is False)


def test_conversation_shows_when_the_other_user_was_last_seen(alice: Person, bob: Person) -> None:
    new_message(alice, bob)
    assert listed(alice)["data"][0]["lastSeenAt"] is None
    at = timezone.now()
    LastSeen.objects.create(user=bob.user, at=at)
    shown = listed(alice)["data"][0]["lastSeenAt"]
    assert shown == at.isoformat().replace("+00:00", "Z")


def test_number_of_queries_does_not_grow_with_the_list(alice: Person) -> None:
    """A query for the presence or the last message of each row would make long lists slow."""

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            listed(alice)
        return len(captured)

    new_messages(person("Friend 0"), alice, 2)
    with_one = queries()
    for n in range(1, 6):
        new_messages(person(f"Friend {n}"), alice, 2)
    assert queries() == with_one


def test_page_has_ten_conversations_by_default(alice: Person) -> None:
    names = [f"Friend {n}" for n in range(12)]
    for name in names:
        new_message(person(name), alice)
    newest_first = names[::-1]
    body = listed(alice)
    assert [one["user"]["name"] for one in body["data"]] == newest_first[:10]
    assert (body["pagination"]["total"], body["pagination"]["totalPages"]) == (12, 2)
    assert partners(alice, page=2) == newest_first[10:]
    assert partners(alice, page=2, limit=3) == newest_first[3:6]


def test_cursor_visits_every_conversation_once(alice: Person) -> None:
    names = [f"Friend {n}" for n in range(5)]
    for name in names:
        new_message(person(name), alice)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        body = listed(alice, cursor=cursor, limit=2)
        found += [one["user"]["name"] for one in body["data"]]
        cursor = body["pagination"]["nextCursor"]
    assert found == names[::-1]


@pytest.mark.parametrize(
    ("name", "value"), [("limit", "101"), ("page", "0"), ("cursor", "garbage")]
)
def test_invalid_query_parameter_is_named(alice: Person, name: str, value: str) -> None:
    response = alice.get("/messages/conversations", {name: value})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [name]


def test_user_without_messages_has_an_empty_list(alice: Person, bob: Person, carol: Person) -> None:
    new_message(alice, bob)
    assert listed(carol)["data"] == []


def test_anonymous_user_cannot_list_conversations(anonymous: ContractClient) -> None:
    assert anonymous.get("/api/v1/messages/conversations").status_code == 401


def test_list_is_read_from_an_index(alice: Person, bob: Person) -> None:
    """A sort of all conversations would cost more with each of them."""
    new_message(alice, bob)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # PostgreSQL reads so few rows faster without an index, and sorts them.
            for way in ("seqscan", "bitmapscan", "sort"):
                cursor.execute(f"SET LOCAL enable_{way} = off")
    plan = direct_memberships(alice.user)[:10].explain()
    assert "membership_list" in plan
    assert "temp b-tree" not in plan.lower()


def test_both_users_see_the_same_conversation_id(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    assert UUID(listed(alice)["data"][0]["id"]) == message.conversation_id
    assert UUID(listed(bob)["data"][0]["id"]) == message.conversation_id
