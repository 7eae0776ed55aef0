"""A client that applies the events of its stream to an empty chat has the state of the API.

Three users do random actions. Each has two clients: one is connected all the time and applies every
event as it arrives, the other connects at the end and replays the log. Both read nothing but
`user.<id>`, and both must agree with the API about every message, every conversation and the unread
counts.
"""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.tests.people import Person
from apps.chat import receipts
from apps.chat.errors import ConversationNotFound, MessageNotFound, NotYourMessageToDelete
from apps.chat.models import Membership, Message
from apps.chat.receipts import messages_mark_delivered, messages_mark_read
from apps.chat.services import message_delete
from apps.chat.tests.factories import new_message
from apps.realtime.event_log import events_after
from apps.realtime.streams import USER

pytestmark = pytest.mark.django_db

USERS = st.integers(0, 2)
# The role of the actor towards a message: most often its receiver.
ROLES = st.sampled_from(["receiver", "receiver", "sender", "outsider"])
# Indexes of messages that were sent so far, modulo their number.
MESSAGES = st.lists(st.integers(0, 30), min_size=1, max_size=4)
ACTIONS = st.one_of(
    st.tuples(st.just("send"), USERS, USERS, st.sampled_from([None, "phone-1", "phone-2"])),
    st.tuples(st.just("read"), ROLES, MESSAGES),
    st.tuples(st.just("read up to"), ROLES, MESSAGES, st.integers(1, 10)),
    st.tuples(st.just("deliver"), ROLES, MESSAGES),
    st.tuples(st.just("deliver up to"), USERS, st.integers(1, 20)),
    st.tuples(st.just("delete"), ROLES, MESSAGES),
)


class Client:
    """The chat of a client that reads nothing but its stream."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.stream = USER.name(person.user.pk)
        self.last_seq = 0
        self.messages: dict[str, dict[str, Any]] = {}

    def catch_up(self) -> None:
        """Apply the events that it does not have yet."""
        missed = events_after(self.stream, self.last_seq)
        for frame in missed.frames:
            assert frame.seq == self.last_seq + 1
            self.last_seq = frame.seq
            event = json.loads(frame.content)
            self._apply(event["type"], event["data"])

    def _apply(self, kind: str, data: Any) -> None:
        appliers: dict[str, Callable[[Any], None]] = {
            "chat_message": self._message,
            "chat_message_sent": self._message,
            "delivery_receipt": self._delivered,
            "read_receipt": self._read,
            "chat_delete": lambda data: self._forget(data["messageId"]),
        }
        appliers[kind](data)

    def _message(self, data: Any) -> None:
        message = data["message"]
        assert message["id"] not in self.messages
        self.messages[message["id"]] = message

    def _delivered(self, data: Any) -> None:
        for message_id in data["messageIds"]:
            assert self.messages[message_id]["status"] == "sent"
            self.messages[message_id]["status"] = "delivered"

    def _read(self, data: Any) -> None:
        for message_id in data["messageIds"]:
            message = self.messages[message_id]
            assert (message["receiverId"], message["status"] == "read") == (data["readBy"], False)
            message |= {"status": "read", "readAt": data["readAt"]}

    def _forget(self, message_id: str) -> None:
        del self.messages[message_id]

    def conversation(self, other: Person) -> list[dict[str, Any]]:
        """Return its messages with another user, the newest first."""
        two = {self.person.id, other.id}
        own = [m for m in self.messages.values() if {m["senderId"], m["receiverId"]} == two]
        return sorted(own, key=lambda message: -message["seq"])

    def unread(self, messages: list[dict[str, Any]]) -> int:
        """Return how many of the messages its user has not read."""
        own = [m for m in messages if m["receiverId"] == self.person.id]
        return len([message for message in own if message["status"] != "read"])


def as_streamed(person: Person, message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of the API as the stream of a user can know it.

    Only the sender receives the event of a delivery.
    """
    delivered_to_them = message["receiverId"] == person.id and message["status"] == "delivered"
    return {**message, "status": "sent"} if delivered_to_them else message


def do(people: list[Person], sent: list[Message], action: tuple[Any, ...]) -> None:
    """Do one of the actions through the services, or check that its refusal is right."""
    kind, actor, what, *more = action
    if kind == "send":
        other = people[what] if what != actor else people[(actor + 1) % 3]
        sent.append(new_message(people[actor], other, f"Ahoy {len(sent)}", client_id=more[0]))
    elif kind == "deliver up to":
        messages_mark_delivered(people[actor].user.pk, seq=what)
    elif sent:
        messages = [sent[index % len(sent)] for index in what]
        _do_to(with_role(actor, messages[0], people), messages, kind, *more)


def with_role(role: str, message: Message, people: list[Person]) -> Person:
    """Return the user who has the role towards the message."""
    roles = {message.sender_id: "sender", message.receiver_id: "receiver"}
    [found] = [one for one in people if roles.get(one.user.pk, "outsider") == role]
    return found


def _do_to(actor: Person, messages: list[Message], kind: str, up_to: int = 0) -> None:
    ids = [message.pk for message in messages]
    if kind == "read":
        messages_mark_read(actor.user.pk, message_ids=ids)
    elif kind == "deliver":
        messages_mark_delivered(actor.user.pk, message_ids=ids)
    elif kind == "delete":
        _delete(actor, messages[0])
    else:
        _read_up_to(actor, messages[0].conversation_id, up_to)


def _read_up_to(actor: Person, conversation_id: UUID, up_to: int) -> None:
    try:
        messages_mark_read(actor.user.pk, conversation_id=conversation_id, up_to=up_to)
    except ConversationNotFound:
        assert not is_member(conversation_id, actor)


def is_member(conversation_id: UUID, actor: Person) -> bool:
    """Return whether the user is a member of the conversation."""
    return Membership.objects.filter(conversation=conversation_id, user=actor.user).exists()


def _delete(actor: Person, message: Message) -> None:
    try:
        message_delete(actor.user, message_id=message.pk)
    except NotYourMessageToDelete:
        assert message.receiver_id == actor.user.pk
    except MessageNotFound:
        message.refresh_from_db()
        outsider = actor.user.pk not in {message.sender_id, message.receiver_id}
        assert outsider or message.deleted_at is not None


def require_agreement(client: Client, others: list[Person]) -> None:
    """Fail unless the client has the state that the API shows its user."""
    person = client.person
    listed = person.get("/messages/conversations").json()["data"]
    conversations = {one["userId"]: one for one in listed}
    total = 0
    for other in others:
        known = client.conversation(other)
        shown = person.get("/messages", {"userId": other.id, "limit": 100}).json()["data"]
        assert known == [as_streamed(person, message) for message in shown]
        assert (other.id in conversations) == bool(known)
        if known:
            conversation = conversations[other.id]
            assert as_streamed(person, conversation["lastMessage"]) == known[0]
            assert conversation["unreadCount"] == client.unread(known)
        total += client.unread(known)
    assert person.get("/messages/unread").json()["data"]["total"] == total


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=st.lists(ACTIONS, min_size=8, max_size=30))
def test_events_of_a_user_stream_give_the_same_state_as_the_api(
    alice: Person,
    bob: Person,
    carol: Person,
    monkeypatch: pytest.MonkeyPatch,
    actions: list[tuple[Any, ...]],
) -> None:
    # So that a few messages take several parts.
    monkeypatch.setattr(receipts, "PART", 2)
    people = [alice, bob, carol]
    with transaction.atomic():
        connected = [Client(person) for person in people]
        sent: list[Message] = []
        for action in actions:
            do(people, sent, action)
            for client in connected:
                client.catch_up()
        returning = [Client(person) for person in people]
        for client in returning:
            client.catch_up()
        for client in connected + returning:
            require_agreement(client, [one for one in people if one is not client.person])
        transaction.set_rollback(True)
