"""Reading a conversation."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.accounts.tests.people import Person, set_status
from apps.chat.receipts import messages_mark_read
from apps.chat.services import message_delete
from apps.chat.tests.factories import said, said_often
from apps.core.ids import uuid7
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


def listed(reader: Person, other: Person, **query: Any) -> Any:
    """Return the body of a conversation that is answered with 200."""
    response = reader.get("/messages", {"userId": other.id, **query})
    assert response.status_code == 200, response.content
    return response.json()


def ids(body: Any) -> list[UUID]:
    """Return the ids of the messages in their order."""
    return [UUID(message["id"]) for message in body["data"]]


def test_a_conversation_is_listed_the_newest_first(alice: Person, bob: Person) -> None:
    sent = [said(alice, bob).pk, said(bob, alice).pk, said(alice, bob).pk]
    for body in (listed(alice, bob), listed(bob, alice)):
        assert body["message"] == "Messages retrieved successfully"
        assert ids(body) == sent[::-1]
        assert [message["seq"] for message in body["data"]] == [3, 2, 1]


def test_a_page_has_fifty_messages_unless_one_asks_for_less(alice: Person, bob: Person) -> None:
    newest_first = said_often(alice, bob, 52)
    body = listed(bob, alice)
    assert ids(body) == newest_first[:50]
    assert (body["pagination"]["limit"], body["pagination"]["total"]) == (50, 52)
    assert ids(listed(bob, alice, limit=3)) == newest_first[:3]


def test_the_next_page_goes_on_where_the_one_before_ends(alice: Person, bob: Person) -> None:
    newest_first = said_often(alice, bob, 5)
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


def test_a_cursor_neither_skips_nor_repeats_while_messages_come(alice: Person, bob: Person) -> None:
    """Original defect 12."""
    newest_first = said_often(alice, bob, 7)
    found: list[UUID] = []
    cursor: str | None = listed(bob, alice, limit=2)["pagination"]["nextCursor"]
    while cursor:
        said(alice, bob, "One more")
        body = listed(bob, alice, limit=2, cursor=cursor)
        found += ids(body)
        cursor = body["pagination"]["nextCursor"]
    assert found == newest_first[2:]


def test_only_ones_own_conversations_are_shown(alice: Person, bob: Person, carol: Person) -> None:
    said(alice, bob, "Between us"), said(bob, alice, "Only us")
    for other in (alice, bob):
        body = listed(carol, other)
        assert (body["data"], body["pagination"]["total"]) == ([], 0)


def test_each_conversation_is_shown_alone(alice: Person, bob: Person, carol: Person) -> None:
    to_bob, to_carol = said(alice, bob), said(carol, alice)
    assert ids(listed(alice, bob)) == [to_bob.pk]
    assert ids(listed(alice, carol)) == [to_carol.pk]


def test_a_conversation_that_never_began_is_empty(alice: Person, bob: Person) -> None:
    assert listed(alice, bob)["data"] == []


def test_an_unknown_person_is_not_found(alice: Person) -> None:
    """Original defect 11."""
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
def test_wrong_values_are_named(
    alice: Person, bob: Person, query: dict[str, str], fields: list[str]
) -> None:
    query = {name: value.format(bob=bob.id) for name, value in query.items()}
    response = alice.get("/messages", query)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == fields


def test_who_is_not_logged_in_reads_nothing(bob: Person, anonymous: ContractClient) -> None:
    assert anonymous.get("/api/v1/messages", {"userId": bob.id}).status_code == 401


def test_a_new_message_shows_at_once_with_the_right_total(alice: Person, bob: Person) -> None:
    """Original defect 19."""
    for count in range(1, 4):
        said(alice, bob)
        for body in (listed(alice, bob, limit=2), listed(bob, alice, limit=2)):
            assert body["pagination"]["total"] == count
            assert body["data"][0]["seq"] == count


def test_a_deleted_message_is_gone_at_once_with_the_right_total(alice: Person, bob: Person) -> None:
    """Original defect 19."""
    kept, gone = said(alice, bob), said(alice, bob)
    assert listed(bob, alice)["pagination"]["total"] == 2
    message_delete(alice.user, message_id=gone.pk)
    for body in (listed(alice, bob), listed(bob, alice)):
        assert ids(body) == [kept.pk]
        assert body["pagination"]["total"] == 1


def test_a_message_shows_as_read_at_once(alice: Person, bob: Person) -> None:
    """Original defect 20."""
    message = said(alice, bob)
    for body in (listed(alice, bob), listed(bob, alice)):
        assert body["data"][0]["status"] == "sent"
    messages_mark_read(bob.user.pk, message_ids=[message.pk])
    for body in (listed(alice, bob), listed(bob, alice)):
        assert body["data"][0]["status"] == "read"
        assert body["data"][0]["readAt"].endswith("Z")


def test_a_list_takes_as_many_queries_however_many_messages_it_has(
    alice: Person, bob: Person
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            listed(bob, alice)
        return len(captured)

    said(alice, bob)
    with_one = queries()
    said_often(bob, alice, 10)
    assert queries() == with_one


def test_what_a_person_said_who_was_shut_out_since_can_still_be_read(
    alice: Person, bob: Person
) -> None:
    message = said(bob, alice)
    set_status(bob.user, User.Status.BANNED)
    assert ids(listed(alice, bob)) == [message.pk]
