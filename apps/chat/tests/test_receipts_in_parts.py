"""Receipts for more messages than one event can name: they are written in parts."""

from collections.abc import Sequence
from itertools import chain
from typing import Any
from uuid import UUID

import pytest

from apps.accounts.tests.people import Person
from apps.chat import receipts
from apps.chat.models import Conversation, DeliveryCursor
from apps.chat.receipts import MarkResult, messages_mark_delivered, messages_mark_read
from apps.chat.tests.factories import (
    event_types,
    everything,
    new_message,
    new_messages,
    reloaded,
    statuses,
    user_events,
)
from apps.core.tests.together import together
from apps.realtime.event_log import events_after
from apps.realtime.streams import USER
from apps.realtime.transport import FRAME_BYTES
from testing.queries import statements

pytestmark = pytest.mark.django_db

MANY = 1_700
IN_PARTS = [500, 500, 500, 200]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every call enough time on a slow machine."""
    monkeypatch.setattr(receipts, "LONGEST", 600)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make many parts of few messages."""
    monkeypatch.setattr(receipts, "PART", 50)
    monkeypatch.setattr(receipts, "PARTS_PER_QUERY", 2)


small_parts = pytest.mark.usefixtures("small")


def named_in(person: Person, kind: str) -> list[list[str]]:
    """Return the message ids of each event of a type that a user received."""
    return [data["messageIds"] for event_type, data in user_events(person) if event_type == kind]


def flat(parts: Sequence[list[str]]) -> list[str]:
    """Return the parts as one list."""
    return list(chain.from_iterable(parts))


def in_order(ids: Sequence[UUID]) -> list[str]:
    """Return the ids of new_messages() as strings, the oldest first."""
    return [str(one) for one in reversed(ids)]


def all_of(person: Person, **more: Any) -> dict[str, Any]:
    """Return the body of a request that marks the only conversation as read."""
    conversation = Conversation.objects.get()
    return {"conversationId": str(conversation.pk), "upTo": conversation.last_seq, **more}


def test_read_parts_name_each_message_once_and_in_order(alice: Person, bob: Person) -> None:
    ids = new_messages(alice, bob, MANY)
    response = bob.post("/messages/read", all_of(bob))
    assert response.json()["data"] == {"updated": MANY}
    assert set(statuses()) == {"read"}
    for person in (alice, bob):
        parts = named_in(person, "read_receipt")
        assert [len(one) for one in parts] == IN_PARTS
        assert flat(parts) == in_order(ids)
    assert bob.get("/messages/unread").json()["data"] == {"total": 0, "conversations": 0}


@small_parts
def test_delivered_parts_name_each_message_once_and_in_order(alice: Person, bob: Person) -> None:
    ids = new_messages(alice, bob, 170)
    assert messages_mark_delivered(bob.user.pk, seq=170) == MarkResult(170)
    assert set(statuses()) == {"delivered"}
    parts = named_in(alice, "delivery_receipt")
    assert [len(one) for one in parts] == [50, 50, 50, 20]
    assert flat(parts) == in_order(ids)
    assert set(event_types(bob)) == {"chat_message"}


def test_receipt_fits_into_a_frame(alice: Person, bob: Person) -> None:
    ids = new_messages(alice, bob, 501)
    messages_mark_delivered(bob.user.pk, seq=501)
    messages_mark_read(bob.user.pk, message_ids=ids)
    for person in (alice, bob):
        missed = events_after(USER.name(person.user.pk), 501)
        sizes = [len(str(frame.content).encode()) for frame in missed.frames]
        assert len(sizes) == (4 if person is alice else 2)
        # A client may count in UTF-16 units, and a frame may also have a requestId.
        assert max(sizes) < FRAME_BYTES / 2


@small_parts
def test_next_read_does_the_rest_after_a_process_died(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = new_messages(alice, bob, 170)
    die_in_the_third_part(monkeypatch, "messages_read")
    conversation = Conversation.objects.get().pk

    def read() -> MarkResult:
        return messages_mark_read(bob.user.pk, conversation_id=conversation, up_to=170)

    with pytest.raises(SystemExit):
        read()
    assert statuses().count("read") == 100
    assert flat(named_in(alice, "read_receipt")) == in_order(ids)[:100]
    assert read() == MarkResult(70)
    for person in (alice, bob):
        assert flat(named_in(person, "read_receipt")) == in_order(ids)


@small_parts
def test_next_delivery_does_the_rest_after_a_process_died(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = new_messages(alice, bob, 170)
    die_in_the_third_part(monkeypatch, "messages_delivered")
    with pytest.raises(SystemExit):
        messages_mark_delivered(bob.user.pk, seq=170)
    assert statuses().count("delivered") == 100
    assert messages_mark_delivered(bob.user.pk, seq=170) == MarkResult(70)
    assert flat(named_in(alice, "delivery_receipt")) == in_order(ids)


def die_in_the_third_part(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """End the process once, when it publishes its third part."""
    publish = getattr(receipts, name)
    calls = iter(range(1, 1_000))

    def die(*args: Any) -> None:
        if next(calls) == 3:
            raise SystemExit
        publish(*args)

    monkeypatch.setattr(receipts, name, die)


@small_parts
def test_long_read_stops_and_reports_that_messages_remain(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "LONGEST", -1)
    ids = new_messages(alice, bob, 110)
    responses: list[Any] = []
    while not responses or "remaining" in responses[-1]:
        responses.append(bob.post("/messages/read", all_of(bob)).json()["data"])
    assert responses == [
        {"updated": 50, "remaining": True},
        {"updated": 50, "remaining": True},
        {"updated": 10},
    ]
    assert flat(named_in(alice, "read_receipt")) == in_order(ids)


@small_parts
def test_long_delivery_continues_where_it_stopped(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "LONGEST", -1)
    ids = new_messages(alice, bob, 110)
    marked = [messages_mark_delivered(bob.user.pk, seq=110) for _ in range(3)]
    assert marked == [
        MarkResult(50, remaining=True),
        MarkResult(50, remaining=True),
        MarkResult(10),
    ]
    assert flat(named_in(alice, "delivery_receipt")) == in_order(ids)


@small_parts
def test_parts_under_an_idempotency_key_are_done_once(alice: Person, bob: Person) -> None:
    new_messages(alice, bob, 110)
    body, key = all_of(bob), {"Idempotency-Key": "a-key"}
    first = bob.post("/messages/read", body, **key)
    before = everything()
    again = bob.post("/messages/read", body, **key)
    assert first.json()["data"] == again.json()["data"] == {"updated": 110}
    assert everything() == before
    assert [len(one) for one in named_in(alice, "read_receipt")] == [50, 50, 10]


@pytest.mark.django_db(transaction=True)
@small_parts
def test_concurrent_receipts_name_each_message_once(alice: Person, bob: Person) -> None:
    ids = new_messages(alice, bob, 110)
    conversation = Conversation.objects.get().pk
    outcomes = together(
        *[lambda: messages_mark_delivered(bob.user.pk, seq=110)] * 2,
        *[lambda: messages_mark_read(bob.user.pk, conversation_id=conversation, up_to=110)] * 2,
    )
    assert [one for one in outcomes if isinstance(one, Exception)] == []
    read = flat(named_in(alice, "read_receipt"))
    assert sorted(read) == sorted(in_order(ids))
    delivered = flat(named_in(alice, "delivery_receipt"))
    assert len(delivered) == len(set(delivered))
    assert DeliveryCursor.objects.get(user=bob.user).seq == 110


def test_event_number_beyond_the_head_does_not_deliver_later_messages(
    alice: Person, bob: Person
) -> None:
    new_message(alice, bob)
    assert messages_mark_delivered(bob.user.pk, seq=10**9) == MarkResult(1)
    later = new_message(alice, bob)
    assert reloaded(later).status == "sent"
    assert messages_mark_delivered(bob.user.pk, seq=2) == MarkResult(1)


def test_smaller_event_number_changes_nothing(alice: Person, bob: Person) -> None:
    new_messages(alice, bob, 3)
    messages_mark_delivered(bob.user.pk, seq=3)
    before = everything()
    assert messages_mark_delivered(bob.user.pk, seq=1) == MarkResult(0)
    assert everything() == before
    assert DeliveryCursor.objects.get(user=bob.user).seq == 3


def test_event_number_delivers_messages_that_ids_left_out(alice: Person, bob: Person) -> None:
    newest, *older = new_messages(alice, bob, 3)
    messages_mark_delivered(bob.user.pk, message_ids=[newest])
    assert messages_mark_delivered(bob.user.pk, seq=3) == MarkResult(len(older))


@small_parts
def test_delivery_costs_the_same_for_a_long_stream(alice: Person, bob: Person) -> None:
    new_messages(alice, bob, 60)
    messages_mark_delivered(bob.user.pk, seq=60)
    with statements() as sent:
        messages_mark_delivered(bob.user.pk, seq=60)
    assert len(sent) == 2
    new_message(alice, bob)
    with statements() as sent:
        messages_mark_delivered(bob.user.pk, seq=61)
    assert len(sent) == 9
