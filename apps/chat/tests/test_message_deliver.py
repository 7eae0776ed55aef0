"""Noting that a device of the receiver has a message: status only ever goes forward."""

import pytest

from apps.accounts.tests.people import Person
from apps.chat.receipts import messages_mark_delivered, messages_mark_read
from apps.chat.services import message_delete
from apps.chat.tests.factories import everything, now, said, told, told_kinds
from apps.core.ids import uuid7
from apps.core.tests.together import together
from apps.realtime.models import LoggedEvent
from apps.realtime.streams import USER

pytestmark = pytest.mark.django_db


def test_a_device_says_by_id_what_it_has(alice: Person, bob: Person) -> None:
    """Original defect 22."""
    there, on_its_way = said(alice, bob), said(alice, bob)
    assert messages_mark_delivered(bob.user.pk, message_ids=[there.pk]).updated == 1
    assert [now(one).status for one in (there, on_its_way)] == ["delivered", "sent"]
    assert now(there).read_at is None


def test_the_sender_is_told_and_the_receiver_is_not(alice: Person, bob: Person) -> None:
    """Original defect 22."""
    message = said(alice, bob)
    messages_mark_delivered(bob.user.pk, message_ids=[message.pk])
    kind, data = told(alice)[-1]
    assert kind == "delivery_receipt"
    assert (data["deliveredTo"], data["messageIds"]) == (bob.id, [str(message.pk)])
    assert told_kinds(bob) == ["chat_message"]


def test_a_device_says_by_number_how_far_it_has_its_stream(alice: Person, bob: Person) -> None:
    first, answer, second, third = (
        said(alice, bob),
        said(bob, alice),
        said(alice, bob),
        said(alice, bob),
    )
    events = LoggedEvent.objects.filter(stream=USER.name(bob.user.pk))
    seq = events.get(subject=second.pk).seq
    assert messages_mark_delivered(bob.user.pk, seq=seq).updated == 2
    assert [now(one).status for one in (first, second)] == ["delivered", "delivered"]
    assert [now(one).status for one in (answer, third)] == ["sent", "sent"]


def test_a_number_means_the_stream_of_the_receiver_himself(
    alice: Person, bob: Person, carol: Person
) -> None:
    message = said(alice, bob)
    before = everything()
    for outsider in (alice, carol):
        assert messages_mark_delivered(outsider.user.pk, seq=10**6).updated == 0
    assert everything() == before
    assert now(message).status == "sent"


def test_nobody_delivers_the_messages_of_others(alice: Person, bob: Person, carol: Person) -> None:
    message = said(alice, bob)
    before = everything()
    for outsider in (alice, carol):
        outcome = messages_mark_delivered(outsider.user.pk, message_ids=[message.pk])
        assert outcome.updated == 0
    assert messages_mark_delivered(bob.user.pk, message_ids=[uuid7()]).updated == 0
    assert everything() == before


def test_what_is_delivered_already_is_no_news(alice: Person, bob: Person) -> None:
    message = said(alice, bob)
    messages_mark_delivered(bob.user.pk, message_ids=[message.pk])
    before = everything()
    assert messages_mark_delivered(bob.user.pk, message_ids=[message.pk]).updated == 0
    assert messages_mark_delivered(bob.user.pk, seq=1).updated == 0
    assert everything() == before


def test_what_is_read_is_not_merely_delivered_again(alice: Person, bob: Person) -> None:
    """Original defect 22."""
    message = said(alice, bob)
    messages_mark_read(bob.user.pk, message_ids=[message.pk])
    before = everything()
    assert messages_mark_delivered(bob.user.pk, message_ids=[message.pk]).updated == 0
    assert everything() == before
    assert now(message).status == "read"


def test_what_is_delivered_can_be_read(alice: Person, bob: Person) -> None:
    message = said(alice, bob)
    messages_mark_delivered(bob.user.pk, message_ids=[message.pk])
    assert messages_mark_read(bob.user.pk, message_ids=[message.pk]).updated == 1
    assert now(message).status == "read"
    assert told_kinds(alice) == ["chat_message_sent", "delivery_receipt", "read_receipt"]


@pytest.mark.django_db(transaction=True)
def test_a_message_that_is_delivered_and_read_at_once_is_read(alice: Person, bob: Person) -> None:
    """Original defect 22."""
    messages = [said(alice, bob) for _ in range(5)]
    ids = [message.pk for message in messages]
    together(
        *[
            lambda: messages_mark_delivered(bob.user.pk, message_ids=ids),
            lambda: messages_mark_delivered(bob.user.pk, seq=5),
            lambda: messages_mark_read(bob.user.pk, message_ids=ids[::-1]),
        ]
        * 2
    )
    assert {now(message).status for message in messages} == {"read"}
    assert told_kinds(alice)[-1] == "read_receipt"
    assert told_kinds(alice).count("read_receipt") == 1


def test_a_deleted_message_is_not_delivered_back_to_life(alice: Person, bob: Person) -> None:
    """Original defect 22."""
    message = said(alice, bob)
    message_delete(alice.user, message_id=message.pk)
    before = everything()
    assert messages_mark_delivered(bob.user.pk, message_ids=[message.pk]).updated == 0
    assert messages_mark_delivered(bob.user.pk, seq=1).updated == 0
    assert everything() == before
    assert now(message).deleted_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_message_that_is_deleted_while_it_is_delivered_stays_deleted(
    alice: Person, bob: Person
) -> None:
    """Original defect 22."""
    message = said(alice, bob)
    outcomes = together(
        lambda: messages_mark_delivered(bob.user.pk, message_ids=[message.pk]),
        lambda: messages_mark_read(bob.user.pk, message_ids=[message.pk]),
        lambda: message_delete(alice.user, message_id=message.pk),
    )
    assert [one for one in outcomes if isinstance(one, Exception)] == []
    assert now(message).deleted_at is not None
    assert alice.get("/messages", {"userId": bob.id}).json()["data"] == []
