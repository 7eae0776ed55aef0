"""What the database itself refuses."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Model

from apps.accounts.tests.people import Person
from apps.chat.models import Conversation, Membership, Receipt, pair_of
from apps.chat.receipts import messages_mark_read
from apps.chat.tests.factories import everything, said

pytestmark = pytest.mark.django_db


def require_refused(row: Model, change: dict[str, Any]) -> None:
    """Fail unless the database refuses the change of the row, and nothing is changed by it."""
    before = everything()
    with pytest.raises(IntegrityError), transaction.atomic():
        type(row)._default_manager.filter(pk=row.pk).update(**change)
    assert everything() == before


@pytest.mark.parametrize(
    "change",
    [{"type": "video"}, {"seq": 0}, {"seq": 2}, {"client_id": "phone-1"}],
    ids=["unknown type", "number zero", "number of another", "client id of another"],
)
def test_the_database_refuses_what_no_message_can_be(
    alice: Person, bob: Person, change: dict[str, Any]
) -> None:
    """Original defect 41."""
    message = said(alice, bob)
    said(alice, bob, client_id="phone-1")
    require_refused(message, change)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "seen"},
        {"first_seq": 0},
        {"first_seq": 3},
        {"last_seq": 1},
    ],
    ids=["unknown kind", "from number zero", "backwards", "end of another"],
)
def test_the_database_refuses_what_no_receipt_can_be(
    alice: Person, bob: Person, change: dict[str, Any]
) -> None:
    """Original defect 41."""
    for message in (said(alice, bob), said(alice, bob)):
        messages_mark_read(bob.user.pk, message_ids=[message.pk])
    require_refused(Receipt.objects.get(last_seq=2), change)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "channel"},
        {"kind": "group"},
        {"kind": "group", "title": "Crew"},
        {"kind": "group", "first": None, "second": None},
        {"title": "Crew"},
        {"first": None},
        {"second": None},
    ],
)
def test_the_database_refuses_what_is_neither_a_pair_nor_a_group(
    alice: Person, bob: Person, change: dict[str, Any]
) -> None:
    require_refused(said(alice, bob).conversation, change)


@pytest.mark.parametrize(
    "change", [{"role": "guest"}, {"role": "owner"}, {"role": "admin"}, {"joined_seq": 5}]
)
def test_the_database_refuses_what_no_membership_of_two_can_be(
    alice: Person, bob: Person, change: dict[str, Any]
) -> None:
    said(alice, bob)
    require_refused(Membership.objects.get(user=alice.user), change)


def test_the_database_refuses_a_conversation_with_oneself(alice: Person, bob: Person) -> None:
    """Original defect 24."""
    conversation = said(alice, bob).conversation
    require_refused(conversation, {"second": conversation.first})


def test_the_database_refuses_a_second_conversation_of_two_people(
    alice: Person, bob: Person
) -> None:
    """Original defect 18."""
    said(alice, bob)
    first, second = pair_of(bob.user.pk, alice.user.pk)
    for one, other in ((first, second), (second, first)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Conversation.objects.create(first_id=one, second_id=other)
    assert Conversation.objects.count() == 1


def test_the_database_refuses_to_list_a_conversation_twice(alice: Person, bob: Person) -> None:
    """Original defect 18."""
    conversation = said(alice, bob).conversation
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(conversation=conversation, user=alice.user)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no types of times")
def test_every_time_in_the_database_has_its_zone() -> None:
    """Original defect 41."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'"
        )
        assert cursor.fetchall() == []
