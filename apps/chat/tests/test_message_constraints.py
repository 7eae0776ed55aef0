"""The rows that the database itself refuses."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Model

from apps.accounts.tests.people import Person
from apps.chat.models import Conversation, Membership, Receipt, pair_of
from apps.chat.receipts import messages_mark_read
from apps.chat.tests.factories import everything, new_message

pytestmark = pytest.mark.django_db


def require_refused(row: Model, change: dict[str, Any]) -> None:
    """Fail unless the database refuses the change of the row and changes nothing."""
    before = everything()
    with pytest.raises(IntegrityError), transaction.atomic():
        type(row)._default_manager.filter(pk=row.pk).update(**change)
    assert everything() == before


@pytest.mark.parametrize(
    "change",
    [{"type": "video"}, {"seq": 0}, {"seq": 2}, {"client_id": "phone-1"}],
    ids=["unknown type", "number zero", "number of another", "client id of another"],
)
def test_database_refuses_an_invalid_message(
    alice: Person, bob: Person, change: dict[str, Any]
) -> None:
    message = new_message(alice, bob)
    new_message(alice, bob, client_id="phone-1")
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
def test_database_refuses_an_invalid_receipt(
    alice: Person, bob: Person, change: dict[str, Any]
) -> None:
    for message in (new_message(alice, bob), new_message(alice, bob)):
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
def test_database_refuses_an_invalid_conversation(
    alice: Person, bob: Person, change: dict[str, Any]
) -> None:
    require_refused(new_message(alice, bob).conversation, change)


@pytest.mark.parametrize(
    "change", [{"role": "guest"}, {"role": "owner"}, {"role": "admin"}, {"joined_seq": 5}]
)
def test_database_refuses_an_invalid_membership_of_a_direct_conversation(
    alice: Person, bob: Person, change: dict[str, Any]
) -> None:
    new_message(alice, bob)
    require_refused(Membership.objects.get(user=alice.user), change)


def test_database_refuses_a_conversation_of_one_user(alice: Person, bob: Person) -> None:
    conversation = new_message(alice, bob).conversation
    require_refused(conversation, {"second": conversation.first})


def test_database_refuses_a_second_conversation_of_two_users(alice: Person, bob: Person) -> None:
    new_message(alice, bob)
    first, second = pair_of(bob.user.pk, alice.user.pk)
    for one, other in ((first, second), (second, first)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Conversation.objects.create(first_id=one, second_id=other)
    assert Conversation.objects.count() == 1


def test_database_refuses_a_second_membership_of_a_user(alice: Person, bob: Person) -> None:
    conversation = new_message(alice, bob).conversation
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(conversation=conversation, user=alice.user)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no types of times")
def test_every_time_column_has_a_time_zone() -> None:
    """A time without a zone changes its meaning with the settings of the server."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'"
        )
        assert cursor.fetchall() == []
