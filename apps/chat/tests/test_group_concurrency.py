"""Concurrent changes of a group happen one after the other."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection

from apps.accounts.tests.people import Person
from apps.chat import groups
from apps.chat.errors import ConversationNotFound, GroupFull
from apps.chat.groups import group_rename, member_remove, members_add
from apps.chat.models import Conversation, Membership, Message, Receipt
from apps.chat.receipts import MarkResult, messages_mark_delivered, messages_mark_read
from apps.chat.selectors import messages_in, unread_counts
from apps.chat.services import Draft, message_delete, messages_send
from apps.chat.tests.factories import draft, group_events, group_of, new_group_message, new_message
from apps.core.tests.together import overlapping, together

pytestmark = pytest.mark.django_db(transaction=True)

EACH = 6

with_postgres = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="Writers wait for each other on SQLite."
)


def require_no_errors(outcomes: Sequence[Any]) -> None:
    assert [one for one in outcomes if isinstance(one, Exception)] == []


def send_repeatedly(group: Conversation, sender: Person) -> list[int]:
    """Send some messages one after the other, until one is refused, and return their numbers."""
    numbers = []
    for _ in range(EACH):
        try:
            numbers.append(new_group_message(group, sender.user).seq)
        except ConversationNotFound:
            break
    return numbers


def test_user_who_joins_during_sends_reads_exactly_the_later_messages(
    alice: Person, bob: Person, carol: Person
) -> None:
    group = group_of(alice.user, carol.user)
    outcomes = together(
        *[lambda who=who: send_repeatedly(group, who) for who in (alice, carol)],
        lambda: members_add(alice.user, conversation_id=group.pk, user_ids=[bob.user.pk]),
    )
    require_no_errors(outcomes)
    membership = Membership.objects.get(user=bob.user)
    shown = sorted(message.seq for message in messages_in(bob.user, group.pk))
    assert shown == list(range(membership.joined_seq + 1, 2 * EACH + 1))
    # The events since they joined are about the same messages.
    events = group_events(group)[membership.joined_event :]
    assert [data["message"]["seq"] for kind, data in events if kind == "chat_message"] == shown
    assert unread_counts(bob.user)["total"] == len(shown)


def test_member_removed_during_their_sends_sends_nothing_afterwards(
    alice: Person, bob: Person
) -> None:
    group = group_of(alice.user, bob.user)
    new_group_message(group, bob.user)
    outcomes = together(
        lambda: send_repeatedly(group, bob),
        lambda: send_repeatedly(group, alice),
        lambda: member_remove(alice.user, conversation_id=group.pk, user_id=bob.user.pk),
    )
    require_no_errors(outcomes)
    events = [(kind, data.get("message", {}).get("senderId")) for kind, data in group_events(group)]
    assert ("chat_message", bob.id) not in events[events.index(("member_left", None)) :]
    numbers = sorted(Message.objects.values_list("seq", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))


def test_devices_that_read_at_once_mark_each_message_once(alice: Person, bob: Person) -> None:
    group = group_of(alice.user, bob.user)
    ids = [new_group_message(group, alice.user).pk for _ in range(9)]
    outcomes = together(
        *[lambda: messages_mark_read(bob.user.pk, message_ids=ids[::2])] * 2,
        *[lambda: messages_mark_read(bob.user.pk, conversation_id=group.pk, up_to=9)] * 2,
        lambda: messages_mark_delivered(bob.user.pk, message_ids=ids),
    )
    require_no_errors(outcomes)
    reads = [one.updated for one in outcomes[:4] if isinstance(one, MarkResult)]
    assert sum(reads) == 9
    ranges = [data["ranges"] for kind, data in group_events(group) if kind == "group_read"]
    assert sum(one["last"] - one["first"] + 1 for some in ranges for one in some) == 9
    require_apart()
    assert unread_counts(bob.user)["total"] == 0
    assert Membership.objects.get(user=bob.user).read_seq == 9


def require_apart() -> None:
    """Fail if receipts of one kind of one user in one conversation overlap."""
    rows = Receipt.objects.order_by("conversation", "user", "kind", "first_seq")
    numbers = rows.values_list("conversation", "user", "kind", "first_seq", "last_seq")
    for (*place, _, last), (*next_place, first, _) in pairwise(numbers):
        assert place != next_place or last < first


def test_no_read_event_of_a_member_follows_their_removal(
    alice: Person, bob: Person, carol: Person
) -> None:
    group = group_of(alice.user, bob.user, carol.user)
    ids = [new_group_message(group, alice.user).pk for _ in range(EACH)]
    outcomes = together(
        *[lambda pk=pk: messages_mark_read(bob.user.pk, message_ids=[pk]) for pk in ids[:4]],
        lambda: member_remove(alice.user, conversation_id=group.pk, user_id=bob.user.pk),
    )
    require_no_errors(outcomes)
    kinds = [kind for kind, _ in group_events(group)]
    assert "group_read" not in kinds[kinds.index("member_left") :]


def test_concurrent_changes_of_groups_and_direct_conversations_do_not_deadlock(
    alice: Person, bob: Person, carol: Person
) -> None:
    crew = group_of(alice.user, bob.user, carol.user)
    watch = group_of(bob.user, alice.user, carol.user)
    people = (alice, bob, carol)
    before = [new_group_message(group, alice.user) for group in (crew, watch)]
    before += [new_message(alice, other) for other in (bob, carol)]
    ids = [message.pk for message in before]
    drafts = [
        Draft(one.user.pk, None, "Ahoy all", conversation_id=group.pk)
        for one in people
        for group in (crew, watch)
    ]
    drafts += [draft(one, other) for one in people for other in people if one is not other]
    outcomes = together(
        lambda: messages_send(drafts * 3),
        lambda: messages_send(drafts[::-1] * 3),
        lambda: messages_mark_read(bob.user.pk, message_ids=ids),
        lambda: messages_mark_read(carol.user.pk, message_ids=ids[::-1]),
        lambda: messages_mark_delivered(carol.user.pk, message_ids=ids),
        lambda: [message_delete(alice.user, message_id=pk) for pk in ids[1:3]],
        lambda: [group_rename(alice.user, conversation_id=crew.pk, title=t) for t in "AB"],
        lambda: member_remove(carol.user, conversation_id=watch.pk, user_id=carol.user.pk),
    )
    require_no_errors(outcomes)
    require_apart()
    for conversation in Conversation.objects.all():
        numbers = list(conversation.messages.order_by("seq").values_list("seq", flat=True))
        assert numbers == list(range(1, conversation.last_seq + 1))


@with_postgres
def test_message_that_waits_for_the_removal_of_its_sender_is_refused(
    alice: Person, bob: Person
) -> None:
    group = group_of(alice.user, bob.user)

    def remove() -> list[Any]:
        member_remove(alice.user, conversation_id=group.pk, user_id=bob.user.pk)
        return []

    def send() -> list[Any]:
        return messages_send([Draft(bob.user.pk, None, "Farewell", conversation_id=group.pk)])

    _, [outcome] = overlapping(remove, send)
    assert isinstance(outcome, ConversationNotFound)
    assert Message.objects.count() == 0


@with_postgres
def test_concurrent_additions_do_not_exceed_the_limit_of_members(
    alice: Person, bob: Person, carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "MOST_MEMBERS", 2)
    group = group_of(alice.user)

    def add(who: Person) -> Any:
        try:
            return members_add(alice.user, conversation_id=group.pk, user_ids=[who.user.pk])
        except GroupFull as refused:
            return refused

    joined, refused = overlapping(lambda: add(bob), lambda: add(carol))
    assert joined == [bob.user.pk]
    assert isinstance(refused, GroupFull)
    group.refresh_from_db()
    assert group.member_count == group.memberships.count() == 2
