"""Sending a message."""

from typing import Any
from uuid import UUID

import pytest
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.tests.people import Person, set_status
from apps.chat.models import Conversation, Membership, Message
from apps.chat.services import Sent, messages_send
from apps.chat.tests.factories import draft, everything, said, told, told_kinds
from apps.core.ids import uuid7
from apps.realtime.event_log import events_after
from apps.realtime.models import LoggedEvent
from apps.realtime.presence import presence_store
from apps.realtime.sockets import PresenceEntry
from apps.realtime.streams import USER
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


def send(sender: Person, receiver_id: str, content: Any = "Ahoy", **more: Any) -> Any:
    """Return the answer to a message's being sent."""
    return sender.post("/messages", {"receiverId": receiver_id, "content": content, **more})


def require_refused(response: Any, before: list[Any], status: int, message: str) -> None:
    """Fail unless the answer is that refusal and nothing was stored or announced."""
    assert (response.status_code, response.json()["message"]) == (status, message)
    assert everything() == before


def wrong_fields(response: Any) -> list[tuple[str, str]]:
    """Return field and code of every error of a refusal."""
    return [(error["field"], error["code"]) for error in response.json().get("errors", [])]


def test_the_guides_body_sends_a_message(alice: Person, bob: Person) -> None:
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


def test_the_two_people_are_told_and_nobody_else(alice: Person, bob: Person, carol: Person) -> None:
    message = send(alice, bob.id).json()["data"]
    assert told(bob) == [("chat_message", {"message": message})]
    assert told(alice) == [("chat_message_sent", {"message": message})]
    assert LoggedEvent.objects.count() == 2


def test_a_message_is_on_its_way_until_a_device_says_that_it_is_there(
    alice: Person, bob: Person
) -> None:
    """Original defect 22."""
    device = PresenceEntry(bob.user.pk, uuid7(), "socket")
    presence_store().enter(device)
    try:
        assert send(alice, bob.id).json()["data"]["status"] == "sent"
    finally:
        presence_store().leave(device)
    assert told_kinds(alice) == ["chat_message_sent"]


def test_sender_and_receiver_see_the_same(alice: Person, bob: Person) -> None:
    """Original defect 22."""
    message = send(alice, bob.id).json()["data"]
    for reader, other in ((alice, bob), (bob, alice)):
        assert reader.get("/messages", {"userId": other.id}).json()["data"] == [message]


def test_who_is_offline_finds_his_messages_in_the_log(alice: Person, bob: Person) -> None:
    """Original defect 23."""
    said(alice, bob, "First"), said(alice, bob, "Second")
    missed = events_after(USER.name(bob.user.pk), 0)
    assert missed.complete
    assert [frame.seq for frame in missed.frames] == [1, 2]
    assert "First" in str(missed.frames[0].content)
    assert "Second" in str(missed.frames[1].content)


def test_one_refused_message_of_a_group_does_not_hold_up_the_others(
    alice: Person, bob: Person
) -> None:
    first, refused, last = messages_send(
        [draft(alice, bob, "One"), draft(alice, alice, "Two"), draft(bob, alice, "Three")]
    )
    assert not isinstance(refused, Sent)
    assert isinstance(first, Sent)
    assert isinstance(last, Sent)
    assert (first.message.seq, last.message.seq) == (1, 2)


def test_an_unknown_receiver_is_not_found(alice: Person) -> None:
    """Original defect 24."""
    before = everything()
    response = send(alice, str(uuid7()))
    assert response.json()["code"] == "NOT_FOUND"
    require_refused(response, before, 404, "Receiver not found")


@pytest.mark.parametrize("status", ["suspended", "banned", "pending"])
def test_who_is_shut_out_is_not_found(alice: Person, bob: Person, status: str) -> None:
    """Original defect 24."""
    set_status(bob.user, status)
    before = everything()
    require_refused(send(alice, bob.id), before, 404, "Receiver not found")


def test_who_is_shut_out_sends_nothing(alice: Person, bob: Person) -> None:
    set_status(alice.user, User.Status.BANNED)
    before = everything()
    assert send(alice, bob.id).status_code == 401
    assert everything() == before


def test_nobody_sends_messages_to_himself(alice: Person) -> None:
    """Original defect 24."""
    before = everything()
    response = send(alice, alice.id)
    assert [field for field, _ in wrong_fields(response)] == ["receiverId"]
    require_refused(response, before, 422, "Some fields are not valid")


@pytest.mark.parametrize("kind", ["image", "file"])
def test_a_message_that_carries_nothing_cannot_say_that_it_does(
    alice: Person, bob: Person, kind: str
) -> None:
    """Original defect 27."""
    before = everything()
    response = send(alice, bob.id, type=kind)
    assert wrong_fields(response) == [("type", "unsupported")]
    require_refused(response, before, 422, "Some fields are not valid")


@pytest.mark.parametrize("content", ["a", "⛵" * 5000], ids=["1", "5000"])
def test_a_message_of_any_length_allowed_is_kept_whole(
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
def test_a_wrong_field_is_named(
    alice: Person, bob: Person, field: str, value: Any, code: str
) -> None:
    """Original defect 24."""
    before = everything()
    response = alice.post("/messages", {"receiverId": bob.id, "content": "Ahoy", field: value})
    assert wrong_fields(response) == [(field, code)]
    require_refused(response, before, 422, "Some fields are not valid")


def test_all_that_is_wrong_is_said_at_once(alice: Person) -> None:
    before = everything()
    response = alice.post("/messages", {"type": "video"})
    assert wrong_fields(response) == [
        ("receiverId", "required"),
        ("content", "required"),
        ("type", "invalid_choice"),
    ]
    require_refused(response, before, 422, "Some fields are not valid")


def test_who_is_not_logged_in_sends_nothing(bob: Person, anonymous: ContractClient) -> None:
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


def test_nobody_sends_in_the_name_of_another(alice: Person, bob: Person, carol: Person) -> None:
    message = send(alice, bob.id, senderId=carol.id, status="read", seq=7).json()["data"]
    assert (message["senderId"], message["status"], message["seq"]) == (alice.id, "sent", 1)


def test_either_side_writes_into_one_conversation(alice: Person, bob: Person) -> None:
    conversations = {said(alice, bob).conversation_id, said(bob, alice).conversation_id}
    assert conversations == {Conversation.objects.get().pk}
    assert set(Membership.objects.values_list("conversation", "user")) == {
        (*conversations, alice.user.pk),
        (*conversations, bob.user.pk),
    }


def test_ids_of_messages_sort_by_their_time(alice: Person, bob: Person) -> None:
    ids = [UUID(send(alice, bob.id).json()["data"]["id"]) for _ in range(5)]
    assert ids == sorted(ids)
    assert {one.version for one in ids} == {7}
