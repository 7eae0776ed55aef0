"""Counting unread messages."""

from typing import Any

import pytest
from django.db import connection

from apps.accounts.tests.people import Person
from apps.chat import selectors
from apps.chat.receipts import messages_mark_delivered, messages_mark_read
from apps.chat.services import message_delete
from apps.chat.tests.factories import new_message, new_messages
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


def unread(person: Person) -> Any:
    """Return the unread counts of a user."""
    response = person.get("/messages/unread")
    assert response.status_code == 200
    return response.json()["data"]


def test_unread_messages_and_their_conversations_are_counted(
    alice: Person, bob: Person, carol: Person
) -> None:
    new_messages(alice, bob, 3), new_messages(carol, bob, 2)
    assert unread(bob) == {"total": 5, "conversations": 2}
    assert unread(alice) == unread(carol) == {"total": 0, "conversations": 0}


def test_read_and_deleted_messages_are_not_counted(
    alice: Person, bob: Person, carol: Person
) -> None:
    read, gone, delivered = (
        new_message(alice, bob),
        new_message(carol, bob),
        new_message(alice, bob),
    )
    messages_mark_delivered(bob.user.pk, message_ids=[delivered.pk])
    messages_mark_read(bob.user.pk, message_ids=[read.pk])
    assert unread(bob) == {"total": 2, "conversations": 2}
    message_delete(carol.user, message_id=gone.pk)
    assert unread(bob) == {"total": 1, "conversations": 1}


def test_anonymous_user_cannot_count_messages(anonymous: ContractClient) -> None:
    assert anonymous.get("/api/v1/messages/unread").status_code == 401


def test_unread_messages_are_found_by_an_index(alice: Person, bob: Person) -> None:
    """A scan of all messages would cost more with each of them."""
    new_messages(alice, bob, 3)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # PostgreSQL reads so few rows faster without an index, and of several indexes that
            # serve it takes whichever its statistics of a nearly empty table prefer.
            cursor.execute("SET LOCAL enable_seqscan = off")
    plan = selectors.memberships_with_unread(bob.user).explain()
    assert "message_shown" in plan
    assert "Seq Scan" not in plan
    assert "SCAN" not in plan
    assert connection.vendor == "postgresql" or "membership_unread" in plan
