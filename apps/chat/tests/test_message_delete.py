"""Deleting a message, for both."""

import json
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.chat.errors import MessageNotFound
from apps.chat.models import Message
from apps.chat.receipts import messages_mark_read
from apps.chat.services import message_delete
from apps.chat.tests.factories import everything, now, said, told, told_kinds
from apps.core.ids import uuid7
from apps.core.tests.together import together
from apps.realtime.event_log import events_after
from apps.realtime.models import LoggedEvent
from apps.realtime.streams import USER
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


def require_refused(response: Any, before: list[Any], status: int, message: str) -> None:
    """Fail unless the answer is that refusal and nothing was changed or announced."""
    assert (response.status_code, response.json()["message"]) == (status, message)
    assert everything() == before


def test_the_sender_deletes_a_message(alice: Person, bob: Person) -> None:
    message = said(alice, bob)
    response = alice.delete(f"/messages/{message.pk}")
    assert response.status_code == 200
    assert response.json()["message"] == "Message deleted successfully"
    assert "data" not in response.json()
    assert now(message).deleted_at is not None


def test_a_deleted_message_is_gone_for_both(alice: Person, bob: Person) -> None:
    """Original defect 19."""
    message = said(alice, bob)
    alice.delete(f"/messages/{message.pk}")
    for reader, other in ((alice, bob), (bob, alice)):
        assert reader.get("/messages", {"userId": other.id}).json()["data"] == []
        assert reader.get("/messages/conversations").json()["data"] == []


def test_a_read_message_can_be_deleted_too(alice: Person, bob: Person) -> None:
    message = said(alice, bob)
    messages_mark_read(bob.user.pk, message_ids=[message.pk])
    assert alice.delete(f"/messages/{message.pk}").status_code == 200


def test_the_receiver_may_not_delete_a_message(alice: Person, bob: Person) -> None:
    message = said(alice, bob)
    before = everything()
    response = bob.delete(f"/messages/{message.pk}")
    assert response.json()["code"] == "FORBIDDEN"
    require_refused(response, before, 403, "You can only delete your own messages")


@pytest.mark.parametrize("who", ["carol", "moderator"])
def test_to_others_there_is_no_message_to_delete(
    request: pytest.FixtureRequest, alice: Person, bob: Person, who: str
) -> None:
    message = said(alice, bob)
    outsider = request.getfixturevalue(who)
    before = everything()
    response = outsider.delete(f"/messages/{message.pk}")
    require_refused(response, before, 404, "Message not found")


def test_who_is_not_logged_in_deletes_nothing(
    alice: Person, bob: Person, anonymous: ContractClient
) -> None:
    message = said(alice, bob)
    before = everything()
    response = anonymous.delete(f"/api/v1/messages/{message.pk}")
    require_refused(response, before, 401, "Authentication is required")


def test_a_message_can_be_deleted_once(alice: Person, bob: Person) -> None:
    message = said(alice, bob)
    alice.delete(f"/messages/{message.pk}")
    before = everything()
    for person in (alice, bob):
        response = person.delete(f"/messages/{message.pk}")
        require_refused(response, before, 404, "Message not found")


@pytest.mark.django_db(transaction=True)
def test_of_devices_that_delete_at_once_one_does(alice: Person, bob: Person) -> None:
    message = said(alice, bob)
    outcomes = together(*[lambda: message_delete(alice.user, message_id=message.pk)] * 4)
    assert outcomes.count(None) == 1
    assert [type(one) for one in outcomes].count(MessageNotFound) == 3
    for person in (alice, bob):
        assert told_kinds(person).count("chat_delete") == 1


@pytest.mark.django_db(transaction=True)
def test_a_send_and_a_delete_at_once_leave_the_right_last_message(
    alice: Person, bob: Person
) -> None:
    """Original defect 18."""
    gone = [said(alice, bob) for _ in range(3)]

    def delete(message: Message) -> None:
        message_delete(alice.user, message_id=message.pk)

    outcomes = together(
        *[lambda message=message: delete(message) for message in gone],
        lambda: said(bob, alice, "Still here"),
    )
    assert [one for one in outcomes if isinstance(one, Exception)] == []
    for reader in (alice, bob):
        [conversation] = reader.get("/messages/conversations").json()["data"]
        assert conversation["lastMessage"]["content"] == "Still here"


def test_an_unknown_message_is_not_found(alice: Person) -> None:
    """Original defect 11."""
    response = alice.delete(f"/messages/{uuid7()}")
    assert (response.status_code, response.json()["message"]) == (404, "Message not found")


@pytest.mark.parametrize("wrong", ["42", "not-a-uuid", "%00", "0197b6c0-0000-7000-8000"])
def test_what_is_no_uuid_is_not_found(alice: Person, wrong: str) -> None:
    """Original defect 11."""
    response = alice.delete(f"/messages/{wrong}")
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


def test_the_two_people_are_told_and_nobody_else(alice: Person, bob: Person, carol: Person) -> None:
    """Original defect 28."""
    said(carol, bob), said(alice, carol)
    message = said(alice, bob)
    alice.delete(f"/messages/{message.pk}")
    data = {"messageId": str(message.pk), "senderId": alice.id, "receiverId": bob.id}
    assert told(alice)[-1] == told(bob)[-1] == ("chat_delete", data)
    streams = set(LoggedEvent.objects.filter(type="chat_delete").values_list("stream", flat=True))
    assert streams == {USER.name(alice.user.pk), USER.name(bob.user.pk)}


def test_the_log_forgets_the_words_of_a_deleted_message(alice: Person, bob: Person) -> None:
    gone, kept = said(alice, bob, "Xylophone"), said(bob, alice, "Quartz")
    alice.delete(f"/messages/{gone.pk}")
    log = json.dumps(list(LoggedEvent.objects.values_list("data", flat=True)))
    assert "Xylophone" not in log
    assert log.count("Quartz") == 2
    assert now(kept).deleted_at is None


def test_who_comes_back_later_is_replayed_a_whole_log_without_the_words(
    alice: Person, bob: Person
) -> None:
    message = said(alice, bob, "Xylophone")
    alice.delete(f"/messages/{message.pk}")
    missed = events_after(USER.name(bob.user.pk), 0)
    assert missed.complete
    frames = [json.loads(frame.content) for frame in missed.frames]
    assert [frame["type"] for frame in frames] == ["chat_message", "chat_delete"]
    assert frames[0]["data"]["message"] == {
        **frames[0]["data"]["message"],
        "id": str(message.pk),
        "content": "",
    }
