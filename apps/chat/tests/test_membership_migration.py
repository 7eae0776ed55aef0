"""The migration to memberships keeps what is read and unread, and so does the reverse migration."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from apps.chat.groups import group_create
from apps.chat.models import Conversation, Membership, Message, Receipt
from apps.chat.queries import with_status
from apps.chat.selectors import conversations_shown, direct_memberships, unread_counts
from apps.chat.tests.factories import new_message
from apps.core.ids import uuid7

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE, AFTER = "0002_delivery_cursor", "0005_without_receivers"
CONVERSATIONS = 40
TIMES = [timezone.now() - timedelta(hours=hours) for hours in range(3)]


def migrate(name: str) -> Any:
    """Migrate the chat to a migration and return the models of that time."""
    MigrationExecutor(connection).migrate([("chat", name)])
    state = MigrationExecutor(connection).loader.project_state([("chat", name)])
    return state.apps.get_app_config("chat")


@pytest.fixture
def old(alice: Person) -> Iterator[Any]:
    """The models of the chat before the migration. Afterwards the database is migrated again."""
    yield migrate(BEFORE)
    migrate(AFTER)


def add_conversation(old: Any, one: User, other: User, seed: int) -> None:
    """Store a random conversation of two users, as before the migration."""
    chance = random.Random(seed)
    pair = sorted((one.pk, other.pk))
    conversation = old.get_model("Conversation").objects.create(pair="".join(p.hex for p in pair))
    messages = [
        old.get_model("Message")(
            conversation=conversation,
            seq=seq,
            content=f"Ahoy {seq}",
            **message_fields(chance, pair),
        )
        for seq in range(1, chance.randrange(2, 25))
    ]
    old.get_model("Message").objects.bulk_create(messages)
    conversation.last_seq = len(messages)
    conversation.save()
    left = [message for message in messages if message.deleted_at is None]
    for user, peer in (pair, pair[::-1]):
        old.get_model("Membership").objects.create(
            conversation=conversation,
            user_id=user,
            peer_id=peer,
            last_message=left[-1] if left else None,
            last_message_at=(left or messages)[-1].created_at,
        )


def message_fields(chance: random.Random, pair: list[UUID]) -> dict[str, Any]:
    """Return random users, status and times of a message."""
    sender, receiver = chance.sample(pair, 2)
    status = chance.choice(["sent", "delivered", "delivered", "read", "read", "read"])
    return {
        "sender_id": sender,
        "receiver_id": receiver,
        "status": status,
        "read_at": chance.choice(TIMES) if status == "read" else None,
        "deleted_at": timezone.now() if chance.random() < 0.2 else None,
        "created_at": timezone.now() + timedelta(seconds=chance.randrange(10_000)),
    }


def rows(old: Any) -> dict[str, list[Any]]:
    """Return all rows of the old models."""
    models = ("Conversation", "Message", "Membership")
    return {name: list(old.get_model(name).objects.order_by("pk").values()) for name in models}


def unread_before(held: dict[str, list[Any]]) -> dict[tuple[UUID, UUID], int]:
    """Return the number of unread messages by conversation and user."""
    counts = {(one["conversation_id"], one["user_id"]): 0 for one in held["Membership"]}
    for one in held["Message"]:
        if one["read_at"] is None and one["deleted_at"] is None:
            counts[one["conversation_id"], one["receiver_id"]] += 1
    return counts


def receipts_before(held: dict[str, list[Any]]) -> set[tuple[UUID, UUID, int, int, datetime]]:
    """Return the runs of messages to one user in one conversation that were read at one time."""

    def to_user(one: Any) -> Any:
        return one["conversation_id"], one["receiver_id"]

    found = set()
    messages = sorted(held["Message"], key=lambda one: (*to_user(one), one["seq"]))
    for to, theirs in groupby(messages, to_user):
        for read_at, run in groupby(theirs, lambda one: one["read_at"]):
            if read_at is not None:
                numbers = [one["seq"] for one in run]
                found.add((*to, numbers[0], numbers[-1], read_at))
    return found


def test_migration_keeps_the_status_of_every_message(
    old: Any, alice: Person, bob: Person, carol: Person
) -> None:
    others = User.objects.bulk_create(
        User(name=f"Friend {n}", email=f"friend{n}@example.com") for n in range(CONVERSATIONS)
    )
    for seed, friend in enumerate(others):
        add_conversation(old, alice.user, friend, seed)
    forgotten = uuid7().hex + uuid7().hex
    old.get_model("Conversation").objects.create(pair=forgotten)
    held = rows(old)

    migrate(AFTER)
    statuses = {one["id"]: (one["status"], one["read_at"]) for one in held["Message"]}
    shown = with_status(Message.objects.all())
    assert {one.pk: (one.status, one.read_at) for one in shown} == statuses
    read = Receipt.objects.filter(kind="read")
    assert set(
        read.values_list("conversation", "user", "first_seq", "last_seq", "at")
    ) == receipts_before(held)
    require_listed_as_before(held, [alice.user, *others])
    assert Conversation.objects.count() == CONVERSATIONS

    held["Conversation"] = [one for one in held["Conversation"] if one["pair"] != forgotten]
    assert rows(migrate(BEFORE)) == held


def require_listed_as_before(held: dict[str, list[Any]], users: list[User]) -> None:
    """Fail unless each user has the same conversations, order and unread counts as before."""
    unread = unread_before(held)
    for user in users:
        own = [one for one in held["Membership"] if one["user_id"] == user.pk]
        own = [one for one in own if one["last_message_id"]]
        own.sort(key=lambda one: (one["last_message_at"], one["id"]), reverse=True)
        listed = conversations_shown(user, list(direct_memberships(user)))
        assert [(one.membership.pk, one.last_message.pk) for one in listed] == [
            (one["id"], one["last_message_id"]) for one in own
        ]
        assert [one.peer.pk for one in listed] == [one["peer_id"] for one in own]
        counts = [unread[one["conversation_id"], user.pk] for one in own]
        assert [one.membership.unread for one in listed] == counts
        assert unread_counts(user) == {
            "total": sum(counts),
            "conversations": len([count for count in counts if count]),
        }


def test_reverse_migration_refuses_groups_and_changes_nothing(alice: Person, bob: Person) -> None:
    group_create(alice.user, title="Crew", member_ids=[bob.user.pk])
    with pytest.raises(ValueError, match="knows no groups"):
        migrate(BEFORE)
    # This release works on as before.
    new_message(alice, bob)
    assert (Conversation.objects.count(), Membership.objects.count()) == (2, 4)
