"""Marking messages as read, and who receives the receipts."""

from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.chat.models import Membership, Message, Receipt
from apps.chat.receipts import MarkResult, messages_mark_read
from apps.chat.runs import STRETCH
from apps.chat.services import message_delete
from apps.chat.tests.factories import (
    event_types,
    everything,
    new_message,
    new_messages,
    reloaded,
    user_events,
)
from apps.core.ids import uuid7
from apps.core.tests.together import together
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


def read(reader: Person, *messages: Message) -> Any:
    """Return the response to a request that marks messages as read."""
    return reader.post("/messages/read", {"messageIds": [str(one.pk) for one in messages]})


def receipts(person: Person) -> list[tuple[str, list[str]]]:
    """Return reader and messages of each read receipt that a user received."""
    return [
        (data["readBy"], sorted(data["messageIds"]))
        for kind, data in user_events(person)
        if kind == "read_receipt"
    ]


def require_refused(response: Any, before: list[Any], status: int) -> None:
    """Fail unless the response has that status and nothing was changed or published."""
    assert response.status_code == status, response.content
    assert everything() == before


def test_receiver_marks_messages_as_read(alice: Person, bob: Person) -> None:
    messages = [new_message(alice, bob), new_message(alice, bob)]
    response = read(bob, *messages)
    assert response.status_code == 200
    assert response.json()["message"] == "Messages marked as read"
    assert response.json()["data"] == {"updated": 2}
    assert [reloaded(one).status for one in messages] == ["read", "read"]
    assert all(reloaded(one).read_at is not None for one in messages)


def test_sender_and_reader_receive_a_receipt_with_the_time(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    read(bob, message)
    shown = alice.get("/messages", {"userId": bob.id}).json()["data"][0]
    receipt = {"readBy": bob.id, "messageIds": [str(message.pk)], "readAt": shown["readAt"]}
    assert user_events(alice)[-1] == user_events(bob)[-1] == ("read_receipt", receipt)


def test_conversation_is_marked_as_read_up_to_a_number(alice: Person, bob: Person) -> None:
    first, second, third = new_message(alice, bob), new_message(alice, bob), new_message(alice, bob)
    body = {"conversationId": str(first.conversation_id), "upTo": 2}
    assert bob.post("/messages/read", body).json()["data"] == {"updated": 2}
    assert [reloaded(one).status for one in (first, second, third)] == ["read", "read", "sent"]
    assert receipts(alice) == [(bob.id, sorted([str(first.pk), str(second.pk)]))]


def test_reading_up_to_a_number_marks_only_messages_to_the_reader_in_that_conversation(
    alice: Person, bob: Person, carol: Person
) -> None:
    to_bob, to_alice, from_carol = (
        new_message(alice, bob),
        new_message(bob, alice),
        new_message(carol, bob),
    )
    body = {"conversationId": str(to_bob.conversation_id), "upTo": 99}
    assert bob.post("/messages/read", body).json()["data"] == {"updated": 1}
    assert [reloaded(one).status for one in (to_alice, from_carol)] == ["sent", "sent"]
    assert receipts(carol) == []


def test_messages_to_others_are_ignored_without_a_receipt(
    alice: Person, bob: Person, carol: Person
) -> None:
    """Receipts for the messages of others would be forged."""
    message = new_message(alice, bob)
    before = everything()
    for outsider in (carol, alice):
        response = read(outsider, message)
        assert response.json()["data"] == {"updated": 0}
        require_refused(response, before, 200)


def test_unknown_messages_are_ignored(alice: Person, bob: Person) -> None:
    new_message(alice, bob)
    before = everything()
    response = bob.post("/messages/read", {"messageIds": [str(uuid7()), str(uuid7())]})
    assert response.json()["data"] == {"updated": 0}
    require_refused(response, before, 200)


def test_each_sender_receives_a_receipt_for_their_own_messages(
    alice: Person, bob: Person, carol: Person
) -> None:
    """One request may name messages of several senders."""
    from_alice, from_carol = (
        [new_message(alice, bob), new_message(alice, bob)],
        new_message(carol, bob),
    )
    read(bob, from_alice[0], from_carol, from_alice[1])
    assert receipts(alice) == [(bob.id, sorted(str(one.pk) for one in from_alice))]
    assert receipts(carol) == [(bob.id, [str(from_carol.pk)])]
    assert sorted(receipts(bob)) == sorted([*receipts(alice), *receipts(carol)])


def test_receipt_names_only_messages_that_changed(
    alice: Person, bob: Person, carol: Person
) -> None:
    known, fresh, foreign = (
        new_message(alice, bob),
        new_message(alice, bob),
        new_message(alice, carol),
    )
    read(bob, known)
    assert read(bob, known, fresh, foreign).json()["data"] == {"updated": 1}
    assert receipts(alice) == [(bob.id, [str(known.pk)]), (bob.id, [str(fresh.pk)])]
    assert reloaded(foreign).status == "sent"


def test_second_read_publishes_nothing(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    read(bob, message)
    before = everything()
    response = read(bob, message)
    assert response.json()["data"] == {"updated": 0}
    require_refused(response, before, 200)


def test_own_messages_in_between_split_a_receipt_only_beyond_the_stretch(
    alice: Person, bob: Person
) -> None:
    for between in (STRETCH, STRETCH + 1):
        before = Receipt.objects.count()
        first = new_message(alice, bob)
        new_messages(bob, alice, between)
        assert read(bob, first, new_message(alice, bob)).json()["data"] == {"updated": 2}
        assert Receipt.objects.count() - before == (1 if between == STRETCH else 2)
        assert bob.get("/messages/unread").json()["data"]["total"] == 0
        membership = Membership.objects.get(user=bob.user)
        assert membership.read_seq == membership.conversation.last_seq


def test_unnamed_message_in_between_stays_unread(alice: Person, bob: Person) -> None:
    first, second, third = (new_message(alice, bob) for _ in range(3))
    read(bob, first, third)
    assert [reloaded(one).status for one in (first, second, third)] == ["read", "sent", "read"]
    assert read(bob, first, second, third).json()["data"] == {"updated": 1}
    ranges = Receipt.objects.order_by("first_seq").values_list("first_seq", "last_seq")
    assert list(ranges) == [(1, 1), (2, 2), (3, 3)]


def test_message_named_twice_counts_once(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    assert read(bob, message, message).json()["data"] == {"updated": 1}
    assert receipts(alice) == [(bob.id, [str(message.pk)])]


def test_deleted_message_cannot_be_read(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    message_delete(alice.user, message_id=message.pk)
    before = everything()
    require_refused(read(bob, message), before, 200)


@pytest.mark.django_db(transaction=True)
def test_only_one_of_several_concurrent_reads_changes_the_messages(
    alice: Person, bob: Person
) -> None:
    ids = new_messages(alice, bob, 5)
    outcomes = together(*[lambda: messages_mark_read(bob.user.pk, message_ids=ids)] * 4)
    assert sorted(one.updated for one in outcomes if isinstance(one, MarkResult)) == [0, 0, 0, 5]
    assert event_types(alice).count("read_receipt") == 1
    assert event_types(bob).count("read_receipt") == 1


def test_request_names_at_most_500_messages(alice: Person, bob: Person) -> None:
    ids = [str(one) for one in new_messages(alice, bob, 500)]
    before = everything()
    response = bob.post("/messages/read", {"messageIds": [*ids, str(uuid7())]})
    assert [error["field"] for error in response.json()["errors"]] == ["messageIds"]
    require_refused(response, before, 422)
    assert bob.post("/messages/read", {"messageIds": ids}).json()["data"] == {"updated": 500}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["messageIds"]),
        ({"messageIds": []}, ["messageIds"]),
        ({"messageIds": None}, ["messageIds"]),
        ({"messageIds": "{message}"}, ["messageIds"]),
        ({"messageIds": ["{message}", "42", 7]}, ["messageIds.1", "messageIds.2"]),
        ({"messageIds": ["{message}"], "upTo": 1}, ["messageIds"]),
        ({"messageIds": ["{message}"], "conversationId": "{conversation}"}, ["messageIds"]),
        ({"conversationId": "{conversation}"}, ["upTo"]),
        ({"upTo": 1}, ["conversationId"]),
        ({"conversationId": "42", "upTo": 0}, ["conversationId", "upTo"]),
        ({"conversationId": "{conversation}", "upTo": "1"}, ["upTo"]),
        ({"conversationId": "{conversation}", "upTo": 2**63}, ["upTo"]),
    ],
)
def test_invalid_combination_of_fields_is_refused(
    alice: Person, bob: Person, body: dict[str, Any], fields: list[str]
) -> None:
    message = new_message(alice, bob)

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(one) for one in value]
        known = {"{message}": str(message.pk), "{conversation}": str(message.conversation_id)}
        return known.get(value, value) if isinstance(value, str) else value

    before = everything()
    response = bob.post("/messages/read", {name: filled(value) for name, value in body.items()})
    assert sorted(error["field"] for error in response.json()["errors"]) == sorted(fields)
    require_refused(response, before, 422)


def test_conversation_of_others_is_not_found(alice: Person, bob: Person, carol: Person) -> None:
    conversation = new_message(alice, bob).conversation_id
    before = everything()
    for one in (conversation, uuid7()):
        response = carol.post("/messages/read", {"conversationId": str(one), "upTo": 1})
        assert response.json()["message"] == "Conversation not found"
        require_refused(response, before, 404)


def test_anonymous_user_cannot_mark_messages(
    alice: Person, bob: Person, anonymous: ContractClient
) -> None:
    message = new_message(alice, bob)
    before = everything()
    response = anonymous.post("/api/v1/messages/read", {"messageIds": [str(message.pk)]})
    require_refused(response, before, 401)
