"""The list of one's conversations."""

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
from apps.chat.tests.factories import said, said_often
from apps.core.ids import uuid7
from apps.realtime import presence
from apps.realtime.models import LastSeen
from apps.realtime.presence import presence_store
from apps.realtime.sockets import PresenceEntry
from testing.client import ContractClient
from testing.server import until

pytestmark = pytest.mark.django_db


def listed(reader: Person, **query: Any) -> Any:
    """Return the body of a person's list of conversations."""
    response = reader.get("/messages/conversations", query)
    assert response.status_code == 200, response.content
    return response.json()


def partners(reader: Person, **query: Any) -> list[str]:
    """Return the names of those with whom a person has conversations, in their order."""
    return [one["user"]["name"] for one in listed(reader, **query)["data"]]


def unread(reader: Person) -> dict[str, int]:
    """Return how many messages of each partner are unread."""
    return {one["user"]["name"]: one["unreadCount"] for one in listed(reader)["data"]}


def delete(message: Message) -> None:
    """Have the sender of a message delete it."""
    message_delete(message.sender, message_id=message.pk)


def test_a_conversation_shows_the_other_and_the_last_message(alice: Person, bob: Person) -> None:
    """Original defect 18."""
    said(alice, bob, "First")
    last = said(alice, bob, "Last")
    body = listed(bob)
    assert body["message"] == "Conversations retrieved successfully"
    [conversation] = body["data"]
    assert conversation["id"] == str(last.conversation_id)
    assert (conversation["userId"], conversation["user"]["id"]) == (alice.id, alice.id)
    assert alice.user.email not in str(body)
    [newest, _] = bob.get("/messages", {"userId": alice.id}).json()["data"]
    assert conversation["lastMessage"] == newest
    assert newest["id"] == str(last.pk)


def test_the_latest_conversation_comes_first(alice: Person, bob: Person, carol: Person) -> None:
    """Original defect 18."""
    said(alice, bob), said(carol, alice)
    assert partners(alice) == ["Carol", "Bob"]
    said(bob, alice)
    assert partners(alice) == ["Bob", "Carol"]
    said(alice, carol)
    assert partners(alice) == ["Carol", "Bob"]


def test_there_is_one_conversation_with_each_person(
    alice: Person, bob: Person, carol: Person
) -> None:
    """Original defect 18."""
    for _ in range(3):
        said(alice, bob), said(bob, alice)
    said(bob, carol)
    assert partners(alice) == ["Bob"]
    assert partners(bob) == ["Carol", "Alice"]
    assert partners(carol) == ["Bob"]


def test_unread_is_counted_for_the_receiver_alone(
    alice: Person, bob: Person, carol: Person
) -> None:
    """Original defect 21."""
    said_often(alice, bob, 3), said_often(carol, bob, 2), said_often(bob, alice, 4)
    assert unread(bob) == {"Alice": 3, "Carol": 2}
    assert unread(alice) == {"Bob": 4}
    assert unread(carol) == {"Bob": 0}


def test_a_message_is_unread_until_it_is_read(alice: Person, bob: Person) -> None:
    """Original defect 21."""
    messages = [said(alice, bob) for _ in range(3)]
    ids = [message.pk for message in messages]
    messages_mark_delivered(bob.user.pk, message_ids=ids[:2])
    assert unread(bob) == {"Alice": 3}
    messages_mark_read(bob.user.pk, message_ids=ids[:1])
    assert unread(bob) == {"Alice": 2}
    messages_mark_read(bob.user.pk, message_ids=ids)
    assert unread(bob) == {"Alice": 0}


def test_a_deleted_message_is_not_unread(alice: Person, bob: Person) -> None:
    """Original defect 21."""
    said(alice, bob)
    delete(said(alice, bob))
    assert unread(bob) == {"Alice": 1}


def test_the_last_message_is_the_last_that_was_not_deleted(alice: Person, bob: Person) -> None:
    """Original defect 18."""
    messages = [said(alice, bob), said(bob, alice), said(alice, bob)]
    for gone, last in ((2, 1), (0, 1)):
        delete(messages[gone])
        for reader in (alice, bob):
            assert listed(reader)["data"][0]["lastMessage"]["id"] == str(messages[last].pk)


def test_a_conversation_stands_where_the_last_message_left_puts_it(
    alice: Person, bob: Person, carol: Person
) -> None:
    """Original defect 18."""
    said(alice, bob), said(alice, carol)
    gone = said(alice, bob)
    assert partners(alice) == ["Bob", "Carol"]
    delete(gone)
    assert partners(alice) == ["Carol", "Bob"]


def test_a_conversation_of_deleted_messages_is_not_listed(alice: Person, bob: Person) -> None:
    """Original defect 18."""
    for message in [said(alice, bob), said(bob, alice)]:
        delete(message)
    for reader in (alice, bob):
        assert listed(reader)["data"] == []
        assert listed(reader)["pagination"]["total"] == 0


def test_a_conversation_is_listed_again_with_its_next_message(alice: Person, bob: Person) -> None:
    delete(said(alice, bob))
    message = said(bob, alice)
    for reader in (alice, bob):
        [conversation] = listed(reader)["data"]
        assert conversation["lastMessage"]["id"] == str(message.pk)
        assert conversation["lastMessage"]["seq"] == 2


def test_it_says_whether_the_other_is_online(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Original defect 18."""
    monkeypatch.setattr(presence, "GRACE_SECONDS", 0)
    said(alice, bob)
    device = PresenceEntry(bob.user.pk, uuid7(), "socket")
    presence_store().enter(device)
    try:
        assert listed(alice)["data"][0]["isOnline"] is True
    finally:
        presence_store().leave(device)
    until(lambda: listed(alice)["data"][0]["isOnline"] is False)


def test_it_says_when_the_other_was_last_seen(alice: Person, bob: Person) -> None:
    said(alice, bob)
    assert listed(alice)["data"][0]["lastSeenAt"] is None
    at = timezone.now()
    LastSeen.objects.create(user=bob.user, at=at)
    shown = listed(alice)["data"][0]["lastSeenAt"]
    assert shown == at.isoformat().replace("+00:00", "Z")


def test_the_list_takes_as_many_queries_however_long_it_is(alice: Person) -> None:
    """Original defect 18."""

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            listed(alice)
        return len(captured)

    said_often(person("Friend 0"), alice, 2)
    with_one = queries()
    for n in range(1, 6):
        said_often(person(f"Friend {n}"), alice, 2)
    assert queries() == with_one


def test_a_page_has_ten_conversations_unless_one_asks_for_less(alice: Person) -> None:
    """Original defect 18."""
    names = [f"Friend {n}" for n in range(12)]
    for name in names:
        said(person(name), alice)
    newest_first = names[::-1]
    body = listed(alice)
    assert [one["user"]["name"] for one in body["data"]] == newest_first[:10]
    assert (body["pagination"]["total"], body["pagination"]["totalPages"]) == (12, 2)
    assert partners(alice, page=2) == newest_first[10:]
    assert partners(alice, page=2, limit=3) == newest_first[3:6]


def test_a_cursor_walks_the_whole_list_once(alice: Person) -> None:
    """Original defect 18."""
    names = [f"Friend {n}" for n in range(5)]
    for name in names:
        said(person(name), alice)
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
def test_a_wrong_value_is_named(alice: Person, name: str, value: str) -> None:
    response = alice.get("/messages/conversations", {name: value})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [name]


def test_who_never_wrote_has_an_empty_list(alice: Person, bob: Person, carol: Person) -> None:
    said(alice, bob)
    assert listed(carol)["data"] == []


def test_who_is_not_logged_in_sees_no_conversations(anonymous: ContractClient) -> None:
    assert anonymous.get("/api/v1/messages/conversations").status_code == 401


def test_the_list_walks_an_index(alice: Person, bob: Person) -> None:
    """Original defect 18."""
    said(alice, bob)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # So few rows are read faster without an index, and sorted.
            for way in ("seqscan", "bitmapscan", "sort"):
                cursor.execute(f"SET LOCAL enable_{way} = off")
    plan = direct_memberships(alice.user)[:10].explain()
    assert "membership_list" in plan
    assert "temp b-tree" not in plan.lower()


def test_ids_are_those_of_the_messages_conversation(alice: Person, bob: Person) -> None:
    message = said(alice, bob)
    assert UUID(listed(alice)["data"][0]["id"]) == message.conversation_id
    assert UUID(listed(bob)["data"][0]["id"]) == message.conversation_id
