"""What the database itself refuses."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.accounts.tests.people import Person
from apps.chat.models import Conversation, Membership, Message, pair_of
from apps.chat.tests.factories import everything, said

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "change",
    [
        {"status": "seen"},
        {"status": ""},
        {"status": "read"},
        {"status": "sent", "read_at": timezone.now()},
        {"status": "delivered", "read_at": timezone.now()},
        {"type": "video"},
        {"seq": 0},
        {"seq": 2},
        {"client_id": "phone-1"},
    ],
    ids=[
        "unknown status",
        "no status",
        "read at no time",
        "read before it is there",
        "read at a time but not read",
        "unknown type",
        "number zero",
        "number of another",
        "client id of another",
    ],
)
def test_the_database_refuses_what_no_message_can_be(
    alice: Person, bob: Person, change: dict[str, Any]
) -> None:
    """Original defect 41."""
    message = said(alice, bob)
    said(alice, bob, client_id="phone-1")
    before = everything()
    with pytest.raises(IntegrityError), transaction.atomic():
        Message.objects.filter(pk=message.pk).update(**change)
    assert everything() == before


def test_the_database_refuses_a_message_to_oneself(alice: Person, bob: Person) -> None:
    """Original defect 24."""
    message = said(alice, bob)
    with pytest.raises(IntegrityError), transaction.atomic():
        Message.objects.filter(pk=message.pk).update(receiver=alice.user)


def test_the_database_refuses_a_second_conversation_of_two_people(
    alice: Person, bob: Person
) -> None:
    said(alice, bob)
    with pytest.raises(IntegrityError), transaction.atomic():
        Conversation.objects.create(pair=pair_of(bob.user.pk, alice.user.pk))
    assert Conversation.objects.count() == 1


def test_the_database_refuses_to_list_a_conversation_twice(alice: Person, bob: Person) -> None:
    """Original defect 18."""
    said(alice, bob)
    other = Conversation.objects.create(pair="another")
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(
            conversation=other, user=alice.user, peer=bob.user, last_message_at=timezone.now()
        )


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no types of times")
def test_every_time_in_the_database_has_its_zone() -> None:
    """Original defect 41."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'"
        )
        assert cursor.fetchall() == []
