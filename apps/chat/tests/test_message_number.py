"""The numbers of messages and events: 1, 2, 3 … without gaps, even under concurrent sends."""

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.tests.people import Person
from apps.chat.errors import ReceiverNotFound
from apps.chat.models import Conversation, Message
from apps.chat.services import Draft, message_delete, message_send, messages_send
from apps.chat.tests.factories import draft, new_message
from apps.core.errors import Invalid
from apps.core.ids import uuid7
from apps.core.tests.together import together
from apps.realtime.models import LoggedEvent, Stream

pytestmark = pytest.mark.django_db

EACH = 5


def require_no_gaps(numbers: list[int]) -> None:
    """Fail unless the numbers are 1, 2, 3 …, each once, in any order."""
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def require_streams_without_gaps() -> None:
    """Fail unless the events of every stream are numbered from 1 to its head."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for stream, seq in LoggedEvent.objects.values_list("stream", "seq"):
        numbers[stream].append(seq)
    for found in numbers.values():
        require_no_gaps(found)
    heads = dict(Stream.objects.values_list("name", "head"))
    assert heads == {stream: len(found) for stream, found in numbers.items()}


def writer(sender: Person, receiver: Person) -> Callable[[], list[int]]:
    """Return a function that sends some messages, one after the other."""
    return lambda: [new_message(sender, receiver).seq for _ in range(EACH)]


@pytest.mark.django_db(transaction=True)
def test_six_concurrent_senders_of_one_conversation_leave_no_gap(
    alice: Person, bob: Person
) -> None:
    outcomes = together(*[writer(alice, bob), writer(bob, alice)] * 3)
    assert [one for one in outcomes if isinstance(one, Exception)] == []
    require_no_gaps([seq for one in outcomes if isinstance(one, list) for seq in one])
    require_no_gaps(list(Message.objects.values_list("seq", flat=True)))
    assert Conversation.objects.get().last_seq == 6 * EACH
    require_streams_without_gaps()


@pytest.mark.django_db(transaction=True)
def test_six_concurrent_senders_of_three_conversations_do_not_deadlock(
    alice: Person, bob: Person, carol: Person
) -> None:
    sides = [(alice, bob), (bob, carol), (carol, alice), (bob, alice), (carol, bob), (alice, carol)]
    outcomes = together(*[writer(*side) for side in sides])
    assert [one for one in outcomes if isinstance(one, Exception)] == []
    for conversation in Conversation.objects.all():
        require_no_gaps(list(conversation.messages.values_list("seq", flat=True)))
    assert Message.objects.count() == 6 * EACH
    require_streams_without_gaps()


@pytest.mark.django_db(transaction=True)
def test_concurrent_sends_of_many_messages_do_not_deadlock(
    alice: Person, bob: Person, carol: Person
) -> None:
    pairs = [(one, other) for one in (alice, bob, carol) for other in (alice, bob, carol)]
    group = [draft(one, other) for one, other in pairs if one is not other] * EACH
    outcomes = together(*[lambda: messages_send(group), lambda: messages_send(group[::-1])] * 3)
    assert [one for one in outcomes if isinstance(one, Exception)] == []
    for conversation in Conversation.objects.all():
        require_no_gaps(list(conversation.messages.values_list("seq", flat=True)))
    assert Message.objects.count() == 6 * len(group)
    require_streams_without_gaps()


@pytest.mark.django_db(transaction=True)
def test_events_of_a_stream_have_messages_in_the_order_of_their_numbers(
    alice: Person, bob: Person
) -> None:
    together(*[writer(alice, bob)] * 4)
    events = LoggedEvent.objects.filter(type="chat_message").order_by("seq")
    numbers = [data["message"]["seq"] for data in events.values_list("data", flat=True)]
    assert numbers == list(range(1, 4 * EACH + 1))


def test_each_conversation_has_its_own_numbers(alice: Person, bob: Person, carol: Person) -> None:
    with_bob = [new_message(alice, bob).seq, new_message(bob, alice).seq]
    assert (with_bob, new_message(alice, carol).seq, new_message(carol, bob).seq) == ([1, 2], 1, 1)


def test_refused_message_takes_no_number(alice: Person, bob: Person) -> None:
    new_message(alice, bob)
    for refused in (draft(alice, alice), Draft(alice.user.pk, uuid7(), "Ahoy")):
        with pytest.raises(Invalid if refused.receiver_id == alice.user.pk else ReceiverNotFound):
            message_send(refused)
    assert new_message(alice, bob).seq == 2


def test_repeated_message_takes_no_number(alice: Person, bob: Person) -> None:
    for _ in range(3):
        new_message(alice, bob, client_id="phone-1")
    assert new_message(alice, bob).seq == 2


def test_number_of_a_deleted_message_is_not_used_again(alice: Person, bob: Person) -> None:
    message_delete(alice.user, message_id=new_message(alice, bob).pk)
    assert new_message(alice, bob).seq == 2


def test_messages_are_ordered_by_number_and_not_by_time(alice: Person, bob: Person) -> None:
    messages = [new_message(alice, bob, f"Ahoy {n}") for n in range(3)]
    for hours, message in enumerate(messages):
        Message.objects.filter(pk=message.pk).update(
            created_at=timezone.now() - timedelta(hours=hours)
        )
    shown = bob.get("/messages", {"userId": alice.id}).json()["data"]
    assert [message["seq"] for message in shown] == [3, 2, 1]
