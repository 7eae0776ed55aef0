"""Sending a message."""

from typing import Any
from uuid import UUID

import pytest
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.tests.people import Person, set_status
from apps.chat.models import Conversation, Membership, Message
from apps.chat.services import Sent, messages_send
from apps.chat.tests.factories import draft, event_types, everything, new_message, user_events
from apps.core.ids import uuid7
from apps.realtime.event_log import events_after
from apps.realtime.models import LoggedEvent
from apps.realtime.presence import presence_store
from apps.realtime.sockets import PresenceEntry
from apps.realtime.streams import USER
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


def send(sender: Person, receiver_id: str, content: Any = "Ahoy", **more: Any) -> Any:
    """Return the response to a send."""
    return sender.post("/messages", {"receiverId": receiver_id, "content": content, **more})


def require_refused(response: Any, before: list[Any], status: int, message: str) -> None:
    """Fail unless the response is that refusal and nothing was stored or published."""
    assert (response.status_code, response.json()["message"]) == (status, message)
    assert everything() == before


def wrong_fields(response: Any) -> list[tuple[str, str]]:
    """Return field and code of every error of a response."""
    return [(error["field"], error["code"]) for error in response.json().get("errors", [])]


def test_documented_body_sends_a_message(alice: Person, bob: Person) -> None:
    response = send(alice, bob.id, "Hello from the API!", type="text")
    assert response.status_code == 201
    assert response.json()["message"] == "Message sent successfully"
    message = response.json()["data"]
    assert (message["senderId"], message["receiverId"]) == (alice.id, bob.id)
    assert (message["content"], message["type"]) == ("Hello from the API!", "text")
    assert (message["status"], message["seq"], message["clientId"]) == ("sent", 1, None)
    assert (message["readAt"], message["editedAt"]) == (None, None)
    assert (message["sender"]["name"], message["receiver"]["name"]) == ("Alice", "Bob")
    assert alice.user.email not in response.content.decode()
    assert str(Message.objects.get().pk) == message["id"]


def test_only_the_two_users_receive_the_events(alice: Person, bob: Person, carol: Person) -> None:
    message = send(alice, bob.id).json()["data"]
    assert user_events(bob) == [("chat_message", {"message": message})]
    assert user_events(alice) == [("chat_message_sent", {"message": message})]
    assert LoggedEvent.objects.count() == 2


def test_message_to_an_online_user_is_sent_and_not_yet_delivered(
    alice: Person, bob: Person
) -> None:
    """Presence does not prove that a device has a message; only its confirmation does."""
    device = PresenceEntry(bob.user.pk, uuid7(), "socket")
    presence_store().arrive([device])
    try:
        assert send(alice, bob.id).json()["data"]["status"] == "sent"
    finally:
        presence_store().leave([device])
    assert event_types(alice) == ["chat_message_sent"]


def test_sender_and_receiver_see_the_same_message(alice: Person, bob: Person) -> None:
    message = send(alice, bob.id).json()["data"]
    for reader, other in ((alice, bob), (bob, alice)):
        assert reader.get("/messages", {"userId": other.id}).json()["data"] == [message]


def test_offline_user_finds_their_messages_in_the_log(alice: Person, bob: Person) -> None:
    """A message that only reached open sockets would be lost to offline users."""
    new_message(alice, bob, "First"), new_message(alice, bob, "Second")
    missed = events_after(USER.name(bob.user.pk), 0)
    assert missed.complete
    assert [frame.seq for frame in missed.frames] == [1, 2]
    assert "First" in str(missed.frames[0].content)
    assert "Second" in str(missed.frames[1].content)


def test_refused_message_does_not_fail_the_others_of_its_transaction(
    alice: Person, bob: Person
) -> None:
    first, refused, last = messages_send(
        [draft(alice, bob, "One"), draft(alice, alice, "Two"), draft(bob, alice, "Three")]
    )
    assert not isinstance(refused, Sent)
    assert isinstance(first, Sent)
    assert isinstance(last, Sent)
    assert (first.message.seq, last.message.seq) == (1, 2)


def test_unknown_receiver_is_not_found(alice: Person) -> None:
    before = everything()
    response = send(alice, str(uuid7()))
    assert response.json()["code"] == "NOT_FOUND"
    require_refused(response, before, 404, "Receiver not found")


@pytest.mark.parametrize("status", ["suspended", "banned", "pending"])
def test_inactive_receiver_is_not_found(alice: Person, bob: Person, status: str) -> None:
    set_status(bob.user, status)
    before = everything()
    require_refused(send(alice, bob.id), before, 404, "Receiver not found")


def test_banned_user_cannot_send(alice: Person, bob: Person) -> None:
    set_status(alice.user, User.Status.BANNED)
    before = everything()
    assert send(alice, bob.id).status_code == 401
    assert everything() == before


def test_user_cannot_send_to_themselves(alice: Person) -> None:
    before = everything()
    response = send(alice, alice.id)
    assert [field for field, _ in wrong_fields(response)] == ["receiverId"]
    require_refused(response, before, 422, "Some fields are not valid")


@pytest.mark.parametrize("kind", ["image", "file"])
def test_message_of_a_file_type_is_refused(alice: Person, bob: Person, kind: str) -> None:
    """There are no uploads yet, so such a message would have no file."""
    before = everything()
    response = send(alice, bob.id, type=kind)
    assert wrong_fields(response) == [("type", "unsupported")]
    require_refused(response, before, 422, "Some fields are not valid")


@pytest.mark.parametrize("content", ["a", "⛵" * 5000], ids=["1", "5000"])
def test_message_of_an_allowed_length_is_stored_whole(
    alice: Person, bob: Person, content: str
) -> None:
    assert send(alice, bob.id, content).json()["data"]["content"] == content
    assert Message.objects.get().content == content


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("content", "", "blank"),
        ("content", " \n\t ", "blank"),
        ("content", "a" * 5001, "max_length"),
        ("content", None, "null"),
        ("content", 7, "invalid"),
        ("content", "NUL \u0000", "null_characters_not_allowed"),
        ("receiverId", "bob", "invalid"),
        ("receiverId", None, "null"),
        ("receiverId", 42, "invalid"),
        ("type", "video", "invalid_choice"),
        ("clientId", "", "blank"),
        ("clientId", "x" * 65, "max_length"),
    ],
)
def test_invalid_field_is_named(
    alice: Person, bob: Person, field: str, value: Any, code: str
) -> None:
    before = everything()
    response = alice.post("/messages", {"receiverId": bob.id, "content": "Ahoy", field: value})
    assert wrong_fields(response) == [(field, code)]
    require_refused(response, before, 422, "Some fields are not valid")


def test_all_invalid_fields_are_named_at_once(alice: Person) -> None:
    before = everything()
    response = alice.post("/messages", {"type": "video"})
    assert wrong_fields(response) == [
        ("receiverId", "required"),
        ("content", "required"),
        ("type", "invalid_choice"),
    ]
    require_refused(response, before, 422, "Some fields are not valid")


def test_anonymous_user_cannot_send(bob: Person, anonymous: ContractClient) -> None:
    before = everything()
    response = anonymous.post("/api/v1/messages", {"receiverId": bob.id, "content": "Ahoy"})
    require_refused(response, before, 401, "Authentication is required")


def test_messages_beyond_the_limit_are_refused(
    alice: Person, bob: Person, carol: Person, settings: Settings
) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(send_message=3)
    assert [send(alice, bob.id).status_code for _ in range(3)] == [201] * 3
    before = everything()
    response = send(alice, carol.id)
    assert response.json()["code"] == "RATE_LIMIT_EXCEEDED"
    assert int(response["Retry-After"]) >= 1
    require_refused(response, before, 429, "Too many requests. Try again later.")
    assert send(bob, alice.id).status_code == 201


def test_user_cannot_send_as_another_user(alice: Person, bob: Person, carol: Person) -> None:
    message = send(alice, bob.id, senderId=carol.id, status="read", seq=7).json()["data"]
    assert (message["senderId"], message["status"], message["seq"]) == (alice.id, "sent", 1)


def test_both_users_write_to_one_conversation(alice: Person, bob: Person) -> None:
    conversations = {
        new_message(alice, bob).conversation_id,
        new_message(bob, alice).conversation_id,
    }
    assert conversations == {Conversation.objects.get().pk}
    assert set(Membership.objects.values_list("conversation", "user")) == {
        (*conversations, alice.user.pk),
        (*conversations, bob.user.pk),
    }


def test_message_ids_sort_by_time(alice: Person, bob: Person) -> None:
    ids = [UUID(send(alice, bob.id).json()["data"]["id"]) for _ in range(5)]
    assert ids == sorted(ids)
    assert {one.version for one in ids} == {7}
