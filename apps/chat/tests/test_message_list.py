"""The list of the messages with a user."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.accounts.tests.people import Person, set_status
from apps.chat.receipts import messages_mark_read
from apps.chat.services import message_delete
from apps.chat.tests.factories import new_message, new_messages
from apps.core.ids import uuid7
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


def listed(reader: Person, other: Person, **query: Any) -> Any:
    """Return the body of the successful response with the messages of a conversation."""
    response = reader.get("/messages", {"userId": other.id, **query})
    assert response.status_code == 200, response.content
    return response.json()


def ids(body: Any) -> list[UUID]:
    """Return the ids of the messages in their order."""
    return [UUID(message["id"]) for message in body["data"]]


def test_messages_are_listed_newest_first(alice: Person, bob: Person) -> None:
    sent = [new_message(alice, bob).pk, new_message(bob, alice).pk, new_message(alice, bob).pk]
    for body in (listed(alice, bob), listed(bob, alice)):
        assert body["message"] == "Messages retrieved successfully"
        assert ids(body) == sent[::-1]
        assert [message["seq"] for message in body["data"]] == [3, 2, 1]


def test_page_has_fifty_messages_by_default(alice: Person, bob: Person) -> None:
    newest_first = new_messages(alice, bob, 52)
    body = listed(bob, alice)
    assert ids(body) == newest_first[:50]
    assert (body["pagination"]["limit"], body["pagination"]["total"]) == (50, 52)
    assert ids(listed(bob, alice, limit=3)) == newest_first[:3]


def test_next_page_continues_after_the_previous_one(alice: Person, bob: Person) -> None:
    newest_first = new_messages(alice, bob, 5)
    body = listed(bob, alice, page=2, limit=3)
    assert ids(body) == newest_first[3:]
    assert body["pagination"] == {
        "total": 5,
        "page": 2,
        "limit": 3,
        "totalPages": 2,
        "hasNext": False,
        "hasPrev": True,
        "nextCursor": None,
    }


def test_cursor_neither_skips_nor_repeats_messages_while_new_ones_arrive(
    alice: Person, bob: Person
) -> None:
    """An offset would move with each new message."""
    newest_first = new_messages(alice, bob, 7)
    found: list[UUID] = []
    cursor: str | None = listed(bob, alice, limit=2)["pagination"]["nextCursor"]
    while cursor:
        new_message(alice, bob, "One more")
        body = listed(bob, alice, limit=2, cursor=cursor)
        found += ids(body)
        cursor = body["pagination"]["nextCursor"]
    assert found == newest_first[2:]


def test_user_sees_only_their_own_conversations(alice: Person, bob: Person, carol: Person) -> None:
    new_message(alice, bob, "Between us"), new_message(bob, alice, "Only us")
    for other in (alice, bob):
        body = listed(carol, other)
        assert (body["data"], body["pagination"]["total"]) == ([], 0)


def test_list_has_the_messages_of_one_conversation_only(
    alice: Person, bob: Person, carol: Person
) -> None:
    to_bob, to_carol = new_message(alice, bob), new_message(carol, alice)
    assert ids(listed(alice, bob)) == [to_bob.pk]
    assert ids(listed(alice, carol)) == [to_carol.pk]


def test_list_without_a_conversation_is_empty(alice: Person, bob: Person) -> None:
    assert listed(alice, bob)["data"] == []


def test_unknown_user_is_not_found(alice: Person) -> None:
    response = alice.get("/messages", {"userId": str(uuid7())})
    assert (response.status_code, response.json()["message"]) == (404, "User not found")


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({}, ["userId"]),
        ({"userId": "bob"}, ["userId"]),
        ({"userId": "' OR 1=1 --"}, ["userId"]),
        ({"limit": "0", "page": "x"}, ["page", "limit", "userId"]),
        ({"userId": "{bob}", "limit": "101"}, ["limit"]),
        ({"userId": "{bob}", "cursor": "garbage"}, ["cursor"]),
    ],
)
def test_invalid_query_parameters_are_named(
    alice: Person, bob: Person, query: dict[str, str], fields: list[str]
) -> None:
    query = {name: value.format(bob=bob.id) for name, value in query.items()}
    response = alice.get("/messages", query)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == fields


def test_anonymous_user_cannot_read_messages(bob: Person, anonymous: ContractClient) -> None:
    assert anonymous.get("/api/v1/messages", {"userId": bob.id}).status_code == 401


def test_new_message_appears_at_once_with_the_right_total(alice: Person, bob: Person) -> None:
    """A cached page must not outlive a send."""
    for count in range(1, 4):
        new_message(alice, bob)
        for body in (listed(alice, bob, limit=2), listed(bob, alice, limit=2)):
            assert body["pagination"]["total"] == count
            assert body["data"][0]["seq"] == count


def test_deleted_message_disappears_at_once_with_the_right_total(
    alice: Person, bob: Person
) -> None:
    """A cached page must not outlive a deletion."""
    kept, gone = new_message(alice, bob), new_message(alice, bob)
    assert listed(bob, alice)["pagination"]["total"] == 2
    message_delete(alice.user, message_id=gone.pk)
    for body in (listed(alice, bob), listed(bob, alice)):
        assert ids(body) == [kept.pk]
        assert body["pagination"]["total"] == 1


def test_message_appears_as_read_at_once(alice: Person, bob: Person) -> None:
    """A cached page must not outlive a receipt."""
    message = new_message(alice, bob)
    for body in (listed(alice, bob), listed(bob, alice)):
        assert body["data"][0]["status"] == "sent"
    messages_mark_read(bob.user.pk, message_ids=[message.pk])
    for body in (listed(alice, bob), listed(bob, alice)):
        assert body["data"][0]["status"] == "read"
        assert body["data"][0]["readAt"].endswith("Z")


def test_number_of_queries_does_not_grow_with_the_messages(alice: Person, bob: Person) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            listed(bob, alice)
        return len(captured)

    new_message(alice, bob)
    with_one = queries()
    new_messages(bob, alice, 10)
    assert queries() == with_one


def test_messages_of_a_banned_user_can_still_be_read(alice: Person, bob: Person) -> None:
    message = new_message(bob, alice)
    set_status(bob.user, User.Status.BANNED)
    assert ids(listed(alice, bob)) == [message.pk]
