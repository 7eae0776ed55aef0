"""Deleting a message, for both users."""

import json
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.chat.errors import MessageNotFound
from apps.chat.models import Message
from apps.chat.receipts import messages_mark_read
from apps.chat.services import message_delete
from apps.chat.tests.factories import event_types, everything, new_message, reloaded, user_events
from apps.core.ids import uuid7
from apps.core.tests.together import together
from apps.realtime.event_log import events_after
from apps.realtime.models import LoggedEvent
from apps.realtime.streams import USER
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


def require_refused(response: Any, before: list[Any], status: int, message: str) -> None:
    """Fail unless the response is that refusal and nothing was changed or published."""
    assert (response.status_code, response.json()["message"]) == (status, message)
    assert everything() == before


def test_sender_deletes_a_message(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    response = alice.delete(f"/messages/{message.pk}")
    assert response.status_code == 200
    assert response.json()["message"] == "Message deleted successfully"
    assert "data" not in response.json()
    assert reloaded(message).deleted_at is not None


def test_deleted_message_is_gone_for_both_users(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    alice.delete(f"/messages/{message.pk}")
    for reader, other in ((alice, bob), (bob, alice)):
        assert reader.get("/messages", {"userId": other.id}).json()["data"] == []
        assert reader.get("/messages/conversations").json()["data"] == []


def test_read_message_can_be_deleted(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    messages_mark_read(bob.user.pk, message_ids=[message.pk])
    assert alice.delete(f"/messages/{message.pk}").status_code == 200


def test_receiver_cannot_delete_a_message(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    before = everything()
    response = bob.delete(f"/messages/{message.pk}")
    assert response.json()["code"] == "FORBIDDEN"
    require_refused(response, before, 403, "You can only delete your own messages")


@pytest.mark.parametrize("who", ["carol", "moderator"])
def test_message_of_others_is_not_found(
    request: pytest.FixtureRequest, alice: Person, bob: Person, who: str
) -> None:
    message = new_message(alice, bob)
    outsider = request.getfixturevalue(who)
    before = everything()
    response = outsider.delete(f"/messages/{message.pk}")
    require_refused(response, before, 404, "Message not found")


def test_anonymous_user_cannot_delete_a_message(
    alice: Person, bob: Person, anonymous: ContractClient
) -> None:
    message = new_message(alice, bob)
    before = everything()
    response = anonymous.delete(f"/api/v1/messages/{message.pk}")
    require_refused(response, before, 401, "Authentication is required")


def test_deleted_message_cannot_be_deleted_again(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    alice.delete(f"/messages/{message.pk}")
    before = everything()
    for person in (alice, bob):
        response = person.delete(f"/messages/{message.pk}")
        require_refused(response, before, 404, "Message not found")


@pytest.mark.django_db(transaction=True)
def test_only_one_of_several_concurrent_deletes_succeeds(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    outcomes = together(*[lambda: message_delete(alice.user, message_id=message.pk)] * 4)
    assert outcomes.count(None) == 1
    assert [type(one) for one in outcomes].count(MessageNotFound) == 3
    for person in (alice, bob):
        assert event_types(person).count("chat_delete") == 1


@pytest.mark.django_db(transaction=True)
def test_concurrent_send_and_deletes_leave_the_right_last_message(
    alice: Person, bob: Person
) -> None:
    gone = [new_message(alice, bob) for _ in range(3)]

    def delete(message: Message) -> None:
        message_delete(alice.user, message_id=message.pk)

    outcomes = together(
        *[lambda message=message: delete(message) for message in gone],
        lambda: new_message(bob, alice, "Still here"),
    )
    assert [one for one in outcomes if isinstance(one, Exception)] == []
    for reader in (alice, bob):
        [conversation] = reader.get("/messages/conversations").json()["data"]
        assert conversation["lastMessage"]["content"] == "Still here"


def test_unknown_message_is_not_found(alice: Person) -> None:
    response = alice.delete(f"/messages/{uuid7()}")
    assert (response.status_code, response.json()["message"]) == (404, "Message not found")


@pytest.mark.parametrize("wrong", ["42", "not-a-uuid", "%00", "0197b6c0-0000-7000-8000"])
def test_malformed_message_id_is_not_found(alice: Person, wrong: str) -> None:
    """The database refuses such an id; its error must not become a 500."""
    response = alice.delete(f"/messages/{wrong}")
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


def test_only_the_two_users_receive_the_delete_event(
    alice: Person, bob: Person, carol: Person
) -> None:
    """Other users must not learn that two users write to each other."""
    new_message(carol, bob), new_message(alice, carol)
    message = new_message(alice, bob)
    alice.delete(f"/messages/{message.pk}")
    data = {"messageId": str(message.pk), "senderId": alice.id, "receiverId": bob.id}
    assert user_events(alice)[-1] == user_events(bob)[-1] == ("chat_delete", data)
    streams = set(LoggedEvent.objects.filter(type="chat_delete").values_list("stream", flat=True))
    assert streams == {USER.name(alice.user.pk), USER.name(bob.user.pk)}


def test_log_loses_the_content_of_a_deleted_message(alice: Person, bob: Person) -> None:
    gone, kept = new_message(alice, bob, "Xylophone"), new_message(bob, alice, "Quartz")
    alice.delete(f"/messages/{gone.pk}")
    log = json.dumps(list(LoggedEvent.objects.values_list("data", flat=True)))
    assert "Xylophone" not in log
    assert log.count("Quartz") == 2
    assert reloaded(kept).deleted_at is None


def test_replay_has_every_event_and_no_content_of_a_deleted_message(
    alice: Person, bob: Person
) -> None:
    message = new_message(alice, bob, "Xylophone")
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
