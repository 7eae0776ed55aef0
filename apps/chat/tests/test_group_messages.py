"""Messages of a group, and their status."""

from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.chat.errors import ConversationNotFound, MessageNotFound, NotYourMessageToDelete
from apps.chat.groups import member_remove, members_add
from apps.chat.models import Conversation, Membership, Message, Receipt
from apps.chat.receipts import MarkResult, messages_mark_delivered, messages_mark_read
from apps.chat.selectors import (
    direct_memberships,
    memberships_latest,
    messages_in,
    messages_shown,
    unread_counts,
)
from apps.chat.serializers import MessageOutput
from apps.chat.services import Draft, Sent, message_delete, messages_send
from apps.chat.tests.factories import (
    draft,
    everything,
    group_events,
    group_of,
    new_group_message,
    new_message,
    reloaded,
    user_events,
    users,
)
from apps.realtime.models import LoggedEvent
from apps.realtime.registry import audiences_of
from testing.queries import statements

pytestmark = pytest.mark.django_db


@pytest.fixture
def crew(alice: Person, bob: Person, carol: Person) -> Conversation:
    """A group of Alice, Bob and Carol."""
    return group_of(alice.user, bob.user, carol.user)


def read(reader: Person, *messages: Message) -> MarkResult:
    return messages_mark_read(reader.user.pk, message_ids=[one.pk for one in messages])


def unread(reader: Person, group: Conversation) -> int:
    """Return the unread count of a group as the list of conversations shows it."""
    [membership] = [
        one for one in memberships_latest(reader.user, limit=9) if one.conversation_id == group.pk
    ]
    return membership.unread


def test_message_to_a_group_is_one_event(crew: Conversation, alice: Person, bob: Person) -> None:
    message = new_group_message(crew, alice.user, "Ahoy all")
    kind, data = group_events(crew)[-1]
    assert (kind, data["message"]["id"]) == ("chat_message", str(message.pk))
    assert (data["message"]["receiverId"], data["message"]["receiver"]) == (None, None)
    assert data["message"]["status"] == "sent"
    assert user_events(alice) == user_events(bob) == []
    [shown] = messages_shown(messages_in(bob.user, crew.pk))
    assert data["message"] == MessageOutput.dump(shown)


def test_messages_to_users_and_to_groups_are_sent_in_one_transaction(
    crew: Conversation, alice: Person, bob: Person, carol: Person
) -> None:
    def to_crew(sender: Person, **more: Any) -> Draft:
        return Draft(sender.user.pk, None, "Ahoy all", conversation_id=crew.pk, **more)

    outcomes = messages_send(
        [
            to_crew(alice, client_id="phone-1"),
            draft(alice, bob),
            to_crew(bob),
            draft(bob, carol),
            to_crew(alice, client_id="phone-1"),
        ]
    )
    sent = [one for one in outcomes if isinstance(one, Sent)]
    assert [one.message.seq for one in sent] == [1, 1, 2, 1, 1]
    assert [one.created for one in sent] == [True, True, True, True, False]
    crew.refresh_from_db()
    assert (crew.last_seq, crew.last_message_at) == (2, sent[2].message.created_at)


def test_non_member_cannot_send_to_a_group(crew: Conversation, alice: Person, bob: Person) -> None:
    [outsider] = users(1)
    before = everything()
    [refused, taken] = messages_send(
        [
            Draft(outsider.pk, None, "Let me in", conversation_id=crew.pk),
            Draft(bob.user.pk, None, "Ahoy", conversation_id=crew.pk),
        ]
    )
    assert isinstance(refused, ConversationNotFound)
    assert isinstance(taken, Sent)
    assert taken.message.seq == 1
    assert everything() != before


def test_message_is_read_when_all_other_members_have_read_it(
    crew: Conversation, alice: Person, bob: Person, carol: Person
) -> None:
    message = new_group_message(crew, alice.user)
    messages_mark_delivered(bob.user.pk, message_ids=[message.pk])
    assert reloaded(message).status == "sent"
    read(carol, message)
    assert reloaded(message).status == "delivered"
    read(bob, message)
    assert (reloaded(message).status, reloaded(message).read_at) == ("read", None)


def test_read_event_names_each_message_once_by_number(
    crew: Conversation, alice: Person, bob: Person
) -> None:
    first, second, _, fourth = (new_group_message(crew, alice.user) for _ in range(4))
    assert read(bob, fourth, second, first) == MarkResult(3)
    kind, data = group_events(crew)[-1]
    assert (kind, data["userId"]) == ("group_read", bob.id)
    assert data["ranges"] == [{"first": 1, "last": 2}, {"first": 4, "last": 4}]
    assert data["upTo"] == 2
    before = everything()
    assert read(bob, first, fourth) == MarkResult(0)
    assert everything() == before


def test_delivered_event_names_each_message_once_by_number(
    crew: Conversation, alice: Person, bob: Person
) -> None:
    messages = [new_group_message(crew, alice.user) for _ in range(3)]
    messages_mark_delivered(bob.user.pk, message_ids=[messages[2].pk])
    messages_mark_delivered(bob.user.pk, message_ids=[one.pk for one in messages])
    events = [data for kind, data in group_events(crew) if kind == "group_delivered"]
    assert [one["ranges"] for one in events] == [
        [{"first": 3, "last": 3}],
        [{"first": 1, "last": 2}],
    ]
    assert [one["upTo"] for one in events] == [0, 3]
    assert Receipt.objects.count() == 0


def test_reading_up_to_a_number_marks_the_messages_of_others(
    crew: Conversation, alice: Person, bob: Person, carol: Person
) -> None:
    for sender in (alice, bob, carol, alice):
        new_group_message(crew, sender.user)
    assert unread(bob, crew) == 3
    marked = messages_mark_read(bob.user.pk, conversation_id=crew.pk, up_to=3)
    assert (marked, unread(bob, crew)) == (MarkResult(2), 1)
    assert unread_counts(bob.user) == {"total": 1, "conversations": 1}
    # One call writes one receipt. Bob's own message lies within its range and does not count.
    receipt = Receipt.objects.get()
    assert (receipt.first_seq, receipt.last_seq) == (1, 3)


def test_new_member_reads_only_later_messages(crew: Conversation, alice: Person) -> None:
    earlier = new_group_message(crew, alice.user)
    [dora] = users(1)
    members_add(alice.user, conversation_id=crew.pk, user_ids=[dora.pk])
    assert list(messages_in(dora, crew.pk)) == []
    assert unread_counts(dora)["total"] == 0
    assert messages_mark_read(dora.pk, message_ids=[earlier.pk]) == MarkResult(0)
    later = new_group_message(crew, alice.user)
    assert list(messages_in(dora, crew.pk)) == [later]
    assert messages_mark_read(dora.pk, conversation_id=crew.pk, up_to=9) == MarkResult(1)


def test_status_of_a_message_never_goes_back_when_members_join_or_leave(
    crew: Conversation, alice: Person, bob: Person, carol: Person
) -> None:
    message = new_group_message(crew, alice.user)
    read(bob, message)
    member_remove(carol.user, conversation_id=crew.pk, user_id=carol.user.pk)
    assert reloaded(message).status == "read"
    members_add(alice.user, conversation_id=crew.pk, user_ids=[carol.user.pk, users(1)[0].pk])
    assert reloaded(message).status == "read"


def test_former_member_cannot_read_or_mark_messages(
    crew: Conversation, alice: Person, carol: Person
) -> None:
    message = new_group_message(crew, alice.user)
    member_remove(alice.user, conversation_id=crew.pk, user_id=carol.user.pk)
    before = everything()
    assert read(carol, message) == MarkResult(0)
    with pytest.raises(ConversationNotFound):
        messages_mark_read(carol.user.pk, conversation_id=crew.pk, up_to=1)
    with pytest.raises(ConversationNotFound):
        messages_in(carol.user, crew.pk)
    assert everything() == before
    assert unread_counts(carol.user) == {"total": 0, "conversations": 0}


def test_member_who_joins_again_reads_only_later_messages(
    crew: Conversation, alice: Person, carol: Person
) -> None:
    read(carol, new_group_message(crew, alice.user))
    member_remove(carol.user, conversation_id=crew.pk, user_id=carol.user.pk)
    new_group_message(crew, alice.user)
    members_add(alice.user, conversation_id=crew.pk, user_ids=[carol.user.pk])
    message = new_group_message(crew, alice.user)
    assert list(messages_in(carol.user, crew.pk)) == [message]
    assert read(carol, message) == MarkResult(1)


def test_message_of_the_only_member_is_read(alice: Person) -> None:
    group = group_of(alice.user)
    message = new_group_message(group, alice.user)
    assert message.status == reloaded(message).status == "read"


def test_sender_deletes_a_message_for_all_members(
    crew: Conversation, alice: Person, bob: Person
) -> None:
    kept, gone = (
        new_group_message(crew, alice.user, "Quartz"),
        new_group_message(crew, alice.user, "Xylophone"),
    )
    with pytest.raises(NotYourMessageToDelete):
        message_delete(bob.user, message_id=gone.pk)
    message_delete(alice.user, message_id=gone.pk)
    assert group_events(crew)[-1] == (
        "chat_delete",
        {"messageId": str(gone.pk), "senderId": alice.id, "receiverId": None},
    )
    assert "Xylophone" not in str(list(LoggedEvent.objects.values_list("data", flat=True)))
    assert list(messages_in(bob.user, crew.pk)) == [kept]
    crew.refresh_from_db()
    assert crew.last_message_at == kept.created_at
    assert unread(bob, crew) == 1


def test_member_who_joined_after_a_message_cannot_delete_it(
    crew: Conversation, alice: Person
) -> None:
    message = new_group_message(crew, alice.user)
    [dora] = users(1)
    members_add(alice.user, conversation_id=crew.pk, user_ids=[dora.pk])
    with pytest.raises(MessageNotFound):
        message_delete(dora, message_id=message.pk)


def test_groups_and_direct_conversations_are_listed_together_latest_first(
    crew: Conversation, alice: Person, bob: Person, carol: Person
) -> None:
    other = group_of(alice.user, title="Watch")
    with_bob, with_carol = (
        new_message(alice, bob).conversation,
        new_message(alice, carol).conversation,
    )
    new_group_message(crew, bob.user)
    latest_first = [crew.pk, with_carol.pk, with_bob.pk, other.pk]

    def pages(limit: int) -> list[Any]:
        found: list[Any] = []
        before = None
        while page := memberships_latest(alice.user, limit=limit, before=before):
            found += [one.conversation_id for one in page]
            before = (page[-1].conversation.last_message_at, page[-1].pk)
        return found

    assert pages(9) == pages(2) == pages(1) == latest_first
    # The route lists direct conversations only.
    assert [one.conversation_id for one in direct_memberships(alice.user)] == latest_first[1:3]
    listed = alice.get("/messages/conversations").json()
    assert [one["userId"] for one in listed["data"]] == [carol.id, bob.id]


def test_members_of_small_groups_see_who_is_online_and_those_of_large_groups_do_not(
    alice: Person, bob: Person, carol: Person
) -> None:
    new_message(carol, alice)
    few, many = users(49), users(50)
    group_of(alice.user, *few)
    group_of(alice.user, *many)
    audiences = audiences_of([alice.user.pk, many[0].pk, few[0].pk, bob.user.pk])
    assert audiences[alice.user.pk] == {carol.user.pk, *(u.pk for u in few)}
    assert audiences[many[0].pk] == set()
    assert audiences[few[0].pk] == {alice.user.pk, *(u.pk for u in few[1:])}
    assert audiences[bob.user.pk] == set()


def test_message_to_500_members_takes_as_many_statements_as_to_three(
    crew: Conversation, alice: Person
) -> None:
    crowd = group_of(alice.user, *users(499))
    assert Membership.objects.filter(conversation=crowd).count() == 500
    sizes = []
    for group in (crew, crowd):
        logged = LoggedEvent.objects.count()
        with statements() as sent:
            new_group_message(group, alice.user)
        sizes.append((len(sent), LoggedEvent.objects.count() - logged))
    assert sizes[0] == sizes[1] == (8, 1)
