"""What is said in a group, and who has read it."""

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
    peers_of,
    unread_counts,
)
from apps.chat.serializers import MessageOutput
from apps.chat.services import Draft, Sent, message_delete, messages_send
from apps.chat.tests.factories import (
    draft,
    everything,
    group_of,
    now,
    said,
    said_in,
    told,
    told_group,
    users,
)
from apps.realtime.models import LoggedEvent
from testing.queries import statements

pytestmark = pytest.mark.django_db


@pytest.fixture
def crew(alice: Person, bob: Person, carol: Person) -> Conversation:
    """A group of Alice, Bob and Carol."""
    return group_of(alice.user, bob.user, carol.user)


def read(reader: Person, *messages: Message) -> MarkResult:
    return messages_mark_read(reader.user.pk, message_ids=[one.pk for one in messages])


def unread(reader: Person, group: Conversation) -> int:
    """Return how many messages of a group are unread, as its list says it."""
    [membership] = [
        one for one in memberships_latest(reader.user, limit=9) if one.conversation_id == group.pk
    ]
    return membership.unread


def test_a_message_is_one_event_for_all(crew: Conversation, alice: Person, bob: Person) -> None:
    message = said_in(crew, alice.user, "Ahoy all")
    kind, data = told_group(crew)[-1]
    assert (kind, data["message"]["id"]) == ("chat_message", str(message.pk))
    assert (data["message"]["receiverId"], data["message"]["receiver"]) == (None, None)
    assert data["message"]["status"] == "sent"
    assert told(alice) == told(bob) == []
    assert data["message"] == MessageOutput.dump(messages_in(bob.user, crew.pk).get())


def test_messages_to_people_and_to_groups_are_sent_together(
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


def test_who_does_not_belong_to_a_group_sends_it_nothing(
    crew: Conversation, alice: Person, bob: Person
) -> None:
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


def test_a_message_is_read_when_all_others_have_read_it(
    crew: Conversation, alice: Person, bob: Person, carol: Person
) -> None:
    message = said_in(crew, alice.user)
    messages_mark_delivered(bob.user.pk, message_ids=[message.pk])
    assert now(message).status == "sent"
    read(carol, message)
    assert now(message).status == "delivered"
    read(bob, message)
    assert (now(message).status, now(message).read_at) == ("read", None)


def test_what_is_read_is_told_once_by_numbers(
    crew: Conversation, alice: Person, bob: Person
) -> None:
    first, second, _, fourth = (said_in(crew, alice.user) for _ in range(4))
    assert read(bob, fourth, second, first) == MarkResult(3)
    kind, data = told_group(crew)[-1]
    assert (kind, data["userId"]) == ("group_read", bob.id)
    assert data["ranges"] == [{"first": 1, "last": 2}, {"first": 4, "last": 4}]
    assert data["upTo"] == 2
    before = everything()
    assert read(bob, first, fourth) == MarkResult(0)
    assert everything() == before


def test_what_is_there_is_told_once_by_numbers(
    crew: Conversation, alice: Person, bob: Person
) -> None:
    messages = [said_in(crew, alice.user) for _ in range(3)]
    messages_mark_delivered(bob.user.pk, message_ids=[messages[2].pk])
    messages_mark_delivered(bob.user.pk, message_ids=[one.pk for one in messages])
    told = [data for kind, data in told_group(crew) if kind == "group_delivered"]
    assert [one["ranges"] for one in told] == [
        [{"first": 3, "last": 3}],
        [{"first": 1, "last": 2}],
    ]
    assert [one["upTo"] for one in told] == [0, 3]
    assert Receipt.objects.count() == 0


def test_reading_up_to_a_number_reads_what_others_said(
    crew: Conversation, alice: Person, bob: Person, carol: Person
) -> None:
    for sender in (alice, bob, carol, alice):
        said_in(crew, sender.user)
    assert unread(bob, crew) == 3
    marked = messages_mark_read(bob.user.pk, conversation_id=crew.pk, up_to=3)
    assert (marked, unread(bob, crew)) == (MarkResult(2), 1)
    assert unread_counts(bob.user) == {"total": 1, "conversations": 1}
    # One act, one receipt: what Bob said himself is between its ends and does not count.
    receipt = Receipt.objects.get()
    assert (receipt.first_seq, receipt.last_seq) == (1, 3)


def test_who_joins_later_reads_from_there(crew: Conversation, alice: Person) -> None:
    earlier = said_in(crew, alice.user)
    [dora] = users(1)
    members_add(alice.user, conversation_id=crew.pk, user_ids=[dora.pk])
    assert list(messages_in(dora, crew.pk)) == []
    assert unread_counts(dora)["total"] == 0
    assert messages_mark_read(dora.pk, message_ids=[earlier.pk]) == MarkResult(0)
    later = said_in(crew, alice.user)
    assert list(messages_in(dora, crew.pk)) == [later]
    assert messages_mark_read(dora.pk, conversation_id=crew.pk, up_to=9) == MarkResult(1)


def test_who_joins_or_leaves_takes_nothing_back_from_a_status(
    crew: Conversation, alice: Person, bob: Person, carol: Person
) -> None:
    message = said_in(crew, alice.user)
    read(bob, message)
    member_remove(carol.user, conversation_id=crew.pk, user_id=carol.user.pk)
    assert now(message).status == "read"
    members_add(alice.user, conversation_id=crew.pk, user_ids=[carol.user.pk, users(1)[0].pk])
    assert now(message).status == "read"


def test_who_left_reads_and_marks_nothing_more(
    crew: Conversation, alice: Person, carol: Person
) -> None:
    message = said_in(crew, alice.user)
    member_remove(alice.user, conversation_id=crew.pk, user_id=carol.user.pk)
    before = everything()
    assert read(carol, message) == MarkResult(0)
    with pytest.raises(ConversationNotFound):
        messages_mark_read(carol.user.pk, conversation_id=crew.pk, up_to=1)
    with pytest.raises(ConversationNotFound):
        messages_in(carol.user, crew.pk)
    assert everything() == before
    assert unread_counts(carol.user) == {"total": 0, "conversations": 0}


def test_who_comes_back_reads_from_there(crew: Conversation, alice: Person, carol: Person) -> None:
    read(carol, said_in(crew, alice.user))
    member_remove(carol.user, conversation_id=crew.pk, user_id=carol.user.pk)
    said_in(crew, alice.user)
    members_add(alice.user, conversation_id=crew.pk, user_ids=[carol.user.pk])
    message = said_in(crew, alice.user)
    assert list(messages_in(carol.user, crew.pk)) == [message]
    assert read(carol, message) == MarkResult(1)


def test_the_only_one_there_is_read_by_all(alice: Person) -> None:
    group = group_of(alice.user)
    message = said_in(group, alice.user)
    assert message.status == now(message).status == "read"


def test_a_message_is_deleted_for_all_by_its_sender(
    crew: Conversation, alice: Person, bob: Person
) -> None:
    kept, gone = said_in(crew, alice.user, "Quartz"), said_in(crew, alice.user, "Xylophone")
    with pytest.raises(NotYourMessageToDelete):
        message_delete(bob.user, message_id=gone.pk)
    message_delete(alice.user, message_id=gone.pk)
    assert told_group(crew)[-1] == (
        "chat_delete",
        {"messageId": str(gone.pk), "senderId": alice.id, "receiverId": None},
    )
    assert "Xylophone" not in str(list(LoggedEvent.objects.values_list("data", flat=True)))
    assert list(messages_in(bob.user, crew.pk)) == [kept]
    crew.refresh_from_db()
    assert crew.last_message_at == kept.created_at
    assert unread(bob, crew) == 1


def test_who_joined_after_a_message_cannot_delete_it(crew: Conversation, alice: Person) -> None:
    message = said_in(crew, alice.user)
    [dora] = users(1)
    members_add(alice.user, conversation_id=crew.pk, user_ids=[dora.pk])
    with pytest.raises(MessageNotFound):
        message_delete(dora, message_id=message.pk)


def test_groups_and_direct_conversations_are_listed_together_the_latest_first(
    crew: Conversation, alice: Person, bob: Person, carol: Person
) -> None:
    other = group_of(alice.user, title="Watch")
    with_bob, with_carol = said(alice, bob).conversation, said(alice, carol).conversation
    said_in(crew, bob.user)
    latest_first = [crew.pk, with_carol.pk, with_bob.pk, other.pk]

    def pages(limit: int) -> list[Any]:
        found: list[Any] = []
        before = None
        while page := memberships_latest(alice.user, limit=limit, before=before):
            found += [one.conversation_id for one in page]
            before = (page[-1].conversation.last_message_at, page[-1].pk)
        return found

    assert pages(9) == pages(2) == pages(1) == latest_first
    # The route of today lists the direct ones alone.
    assert [one.conversation_id for one in direct_memberships(alice.user)] == latest_first[1:3]
    listed = alice.get("/messages/conversations").json()
    assert [one["userId"] for one in listed["data"]] == [carol.id, bob.id]


def test_small_groups_tell_their_members_who_is_online_and_large_ones_do_not(
    alice: Person, bob: Person, carol: Person
) -> None:
    said(carol, alice)
    few, many = users(49), users(50)
    group_of(alice.user, *few)
    group_of(alice.user, *many)
    assert set(peers_of(alice.user.pk)) - {alice.user.pk} == {carol.user.pk, *(u.pk for u in few)}
    assert set(peers_of(many[0].pk)) == set()
    assert alice.user.pk in set(peers_of(few[0].pk))
    assert set(peers_of(bob.user.pk)) == set()


def test_a_message_to_500_takes_as_many_statements_as_one_to_three(
    crew: Conversation, alice: Person
) -> None:
    crowd = group_of(alice.user, *users(499))
    assert Membership.objects.filter(conversation=crowd).count() == 500
    sizes = []
    for group in (crew, crowd):
        logged = LoggedEvent.objects.count()
        with statements() as sent:
            said_in(group, alice.user)
        sizes.append((len(sent), LoggedEvent.objects.count() - logged))
    assert sizes[0] == sizes[1] == (8, 1)
