"""Who applies the events of their stream to an empty chat has what the API would tell them.

Random things happen between three people. Each has two clients: one is connected all the time and
takes every event as it comes, the other comes back at the end and is replayed the log. Neither
knows anything but `user.<id>`, and both must agree with REST about every message, every
conversation and what is unread.
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

PEOPLE = st.integers(0, 2)
# Who does something to a message: most often whoever it was sent to.
PARTS = st.sampled_from(["receiver", "receiver", "sender", "outsider"])
# Which of the messages so far are meant; numbers beyond the last one begin again at the first.
MESSAGES = st.lists(st.integers(0, 30), min_size=1, max_size=4)
DEEDS = st.one_of(
    st.tuples(st.just("send"), PEOPLE, PEOPLE, st.sampled_from([None, "phone-1", "phone-2"])),
    st.tuples(st.just("read"), PARTS, MESSAGES),
    st.tuples(st.just("read up to"), PARTS, MESSAGES, st.integers(1, 10)),
    st.tuples(st.just("deliver"), PARTS, MESSAGES),
    st.tuples(st.just("deliver up to"), PEOPLE, st.integers(1, 20)),
    st.tuples(st.just("delete"), PARTS, MESSAGES),
)


class Client:
    """What a client knows of the chat that reads nothing but its stream."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.stream = USER.name(person.user.pk)
        self.last_seq = 0
        self.messages: dict[str, dict[str, Any]] = {}

    def catch_up(self) -> None:
        """Take the events that it does not have yet."""
        missed = events_after(self.stream, self.last_seq)
        for frame in missed.frames:
            assert frame.seq == self.last_seq + 1
            self.last_seq = frame.seq
            event = json.loads(frame.content)
            self._take(event["type"], event["data"])

    def _take(self, kind: str, data: Any) -> None:
        takers: dict[str, Callable[[Any], None]] = {
            "chat_message": self._message,
            "chat_message_sent": self._message,
            "delivery_receipt": self._delivered,
            "read_receipt": self._read,
            "chat_delete": lambda data: self._forget(data["messageId"]),
        }
        takers[kind](data)

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
        """Return what it has of the conversation with another, the newest first."""
        two = {self.person.id, other.id}
        own = [m for m in self.messages.values() if {m["senderId"], m["receiverId"]} == two]
        return sorted(own, key=lambda message: -message["seq"])

    def unread(self, messages: list[dict[str, Any]]) -> int:
        """Return how many of the messages are to its person and not read."""
        own = [m for m in messages if m["receiverId"] == self.person.id]
        return len([message for message in own if message["status"] != "read"])


def as_told(person: Person, message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of REST as its person's stream can know it.

    That a device of theirs has a message is news to its sender only.
    """
    own_news = message["receiverId"] == person.id and message["status"] == "delivered"
    return {**message, "status": "sent"} if own_news else message


def do(people: list[Person], sent: list[Message], deed: tuple[Any, ...]) -> None:
    """Do one of the deeds through the services, or see it refused."""
    kind, who, what, *more = deed
    if kind == "send":
        other = people[what] if what != who else people[(who + 1) % 3]
        sent.append(new_message(people[who], other, f"Ahoy {len(sent)}", client_id=more[0]))
    elif kind == "deliver up to":
        messages_mark_delivered(people[who].user.pk, seq=what)
    elif sent:
        messages = [sent[index % len(sent)] for index in what]
        _do_to(in_the_part(who, messages[0], people), messages, kind, *more)


def in_the_part(part: str, message: Message, people: list[Person]) -> Person:
    """Return who has that part in the message."""
    two = {message.sender_id: "sender", message.receiver_id: "receiver"}
    [found] = [one for one in people if two.get(one.user.pk, "outsider") == part]
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
        assert not has_part_in(conversation_id, actor)


def has_part_in(conversation_id: UUID, actor: Person) -> bool:
    """Return whether the conversation is one of the person's."""
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
    """Fail unless the client knows what REST tells its person."""
    person = client.person
    listed = person.get("/messages/conversations").json()["data"]
    conversations = {one["userId"]: one for one in listed}
    total = 0
    for other in others:
        known = client.conversation(other)
        shown = person.get("/messages", {"userId": other.id, "limit": 100}).json()["data"]
        assert known == [as_told(person, message) for message in shown]
        assert (other.id in conversations) == bool(known)
        if known:
            conversation = conversations[other.id]
            assert as_told(person, conversation["lastMessage"]) == known[0]
            assert conversation["unreadCount"] == client.unread(known)
        total += client.unread(known)
    assert person.get("/messages/unread").json()["data"]["total"] == total


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(deeds=st.lists(DEEDS, min_size=8, max_size=30))
def test_events_of_a_user_stream_give_the_same_state_as_the_api(
    alice: Person,
    bob: Person,
    carol: Person,
    monkeypatch: pytest.MonkeyPatch,
    deeds: list[tuple[Any, ...]],
) -> None:
    # So that a few messages take several parts.
    monkeypatch.setattr(receipts, "PART", 2)
    people = [alice, bob, carol]
    with transaction.atomic():
        connected = [Client(person) for person in people]
        sent: list[Message] = []
        for deed in deeds:
            do(people, sent, deed)
            for client in connected:
                client.catch_up()
        returning = [Client(person) for person in people]
        for client in returning:
            client.catch_up()
        for client in connected + returning:
            require_agreement(client, [one for one in people if one is not client.person])
        transaction.set_rollback(True)
