"""Marking messages as delivered: their status never goes back."""

import pytest

from apps.accounts.tests.people import Person
from apps.chat.receipts import messages_mark_delivered, messages_mark_read
from apps.chat.services import message_delete
from apps.chat.tests.factories import event_types, everything, new_message, reloaded, user_events
from apps.core.ids import uuid7
from apps.core.tests.together import together
from apps.realtime.models import LoggedEvent
from apps.realtime.streams import USER

pytestmark = pytest.mark.django_db


def test_device_confirms_delivery_by_message_id(alice: Person, bob: Person) -> None:
    """Presence does not prove that a device has a message; only its confirmation does."""
    delivered, sent = new_message(alice, bob), new_message(alice, bob)
    assert messages_mark_delivered(bob.user.pk, message_ids=[delivered.pk]).updated == 1
    assert [reloaded(one).status for one in (delivered, sent)] == ["delivered", "sent"]
    assert reloaded(delivered).read_at is None


def test_only_the_sender_receives_the_delivery_receipt(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    messages_mark_delivered(bob.user.pk, message_ids=[message.pk])
    kind, data = user_events(alice)[-1]
    assert kind == "delivery_receipt"
    assert (data["deliveredTo"], data["messageIds"]) == (bob.id, [str(message.pk)])
    assert event_types(bob) == ["chat_message"]


def test_device_confirms_delivery_up_to_an_event_number(alice: Person, bob: Person) -> None:
    first, reply, second, third = (
        new_message(alice, bob),
        new_message(bob, alice),
        new_message(alice, bob),
        new_message(alice, bob),
    )
    events = LoggedEvent.objects.filter(stream=USER.name(bob.user.pk))
    seq = events.get(subject=second.pk).seq
    assert messages_mark_delivered(bob.user.pk, seq=seq).updated == 2
    assert [reloaded(one).status for one in (first, second)] == ["delivered", "delivered"]
    assert [reloaded(one).status for one in (reply, third)] == ["sent", "sent"]


def test_event_number_refers_to_the_stream_of_the_actor(
    alice: Person, bob: Person, carol: Person
) -> None:
    message = new_message(alice, bob)
    before = everything()
    for outsider in (alice, carol):
        assert messages_mark_delivered(outsider.user.pk, seq=10**6).updated == 0
    assert everything() == before
    assert reloaded(message).status == "sent"


def test_user_cannot_confirm_delivery_of_messages_to_others(
    alice: Person, bob: Person, carol: Person
) -> None:
    message = new_message(alice, bob)
    before = everything()
    for outsider in (alice, carol):
        outcome = messages_mark_delivered(outsider.user.pk, message_ids=[message.pk])
        assert outcome.updated == 0
    assert messages_mark_delivered(bob.user.pk, message_ids=[uuid7()]).updated == 0
    assert everything() == before


def test_second_delivery_changes_nothing(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    messages_mark_delivered(bob.user.pk, message_ids=[message.pk])
    before = everything()
    assert messages_mark_delivered(bob.user.pk, message_ids=[message.pk]).updated == 0
    assert messages_mark_delivered(bob.user.pk, seq=1).updated == 0
    assert everything() == before


def test_read_message_does_not_become_delivered_again(alice: Person, bob: Person) -> None:
    """A late delivery must not overwrite a later status."""
    message = new_message(alice, bob)
    messages_mark_read(bob.user.pk, message_ids=[message.pk])
    before = everything()
    assert messages_mark_delivered(bob.user.pk, message_ids=[message.pk]).updated == 0
    assert everything() == before
    assert reloaded(message).status == "read"


def test_delivered_message_can_be_read(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    messages_mark_delivered(bob.user.pk, message_ids=[message.pk])
    assert messages_mark_read(bob.user.pk, message_ids=[message.pk]).updated == 1
    assert reloaded(message).status == "read"
    assert event_types(alice) == ["chat_message_sent", "delivery_receipt", "read_receipt"]


@pytest.mark.django_db(transaction=True)
def test_message_delivered_and_read_at_once_is_read(alice: Person, bob: Person) -> None:
    """A concurrent delivery must not overwrite a later status."""
    messages = [new_message(alice, bob) for _ in range(5)]
    ids = [message.pk for message in messages]
    together(
        *[
            lambda: messages_mark_delivered(bob.user.pk, message_ids=ids),
            lambda: messages_mark_delivered(bob.user.pk, seq=5),
            lambda: messages_mark_read(bob.user.pk, message_ids=ids[::-1]),
        ]
        * 2
    )
    assert {reloaded(message).status for message in messages} == {"read"}
    assert event_types(alice)[-1] == "read_receipt"
    assert event_types(alice).count("read_receipt") == 1


def test_delivery_does_not_restore_a_deleted_message(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    message_delete(alice.user, message_id=message.pk)
    before = everything()
    assert messages_mark_delivered(bob.user.pk, message_ids=[message.pk]).updated == 0
    assert messages_mark_delivered(bob.user.pk, seq=1).updated == 0
    assert everything() == before
    assert reloaded(message).deleted_at is not None


@pytest.mark.django_db(transaction=True)
def test_message_deleted_during_its_delivery_stays_deleted(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob)
    outcomes = together(
        lambda: messages_mark_delivered(bob.user.pk, message_ids=[message.pk]),
        lambda: messages_mark_read(bob.user.pk, message_ids=[message.pk]),
        lambda: message_delete(alice.user, message_id=message.pk),
    )
    assert [one for one in outcomes if isinstance(one, Exception)] == []
    assert reloaded(message).deleted_at is not None
    assert alice.get("/messages", {"userId": bob.id}).json()["data"] == []
