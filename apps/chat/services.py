"""Writes of the chat, but for the receipts.

Lock order: conversations by pair, messages by id, kept answers by id, then the streams by name.
Memberships are only written under the lock of their conversation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.chat import events
from apps.chat.errors import MessageNotFound, NotYourMessageToDelete
from apps.chat.models import Conversation, Membership, Message, pair_of
from apps.chat.policies import require_may_send, require_sender, takes_part
from apps.chat.serializers import MessageOutput
from apps.core.db.sql import insert, matching
from apps.core.errors import DomainError
from apps.core.http import idempotency
from apps.core.ids import uuid7

TRIES = 3


@dataclass(frozen=True)
class Draft:
    """A message that somebody wants to send."""

    sender_id: UUID
    receiver_id: UUID
    content: str
    type: str = Message.Type.TEXT
    client_id: str | None = None


@dataclass(frozen=True)
class Sent:
    """A message that was sent, now or by an earlier try with the same client id, as it is shown."""

    message: Message
    shape: Mapping[str, Any]
    created: bool


def message_send(draft: Draft) -> Sent:
    """Send one message; raise SessionOver, ToOneself or ReceiverNotFound."""
    [outcome] = messages_send([draft])
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome if outcome.created else _as_it_is_now(outcome)


@transaction.atomic
def _as_it_is_now(sent: Sent) -> Sent:
    """Look again at a message that was sent before, under its lock.

    The answer may be kept under an Idempotency-Key. Whoever deletes the message meanwhile waits
    for that, and then takes its words out of what is kept.
    """
    messages = Message.objects.select_related("sender", "receiver").filter(pk=sent.message.pk)
    message = messages.select_for_update(of=("self",)).first() or sent.message
    return Sent(message, MessageOutput.show(message), created=False)


def messages_send(drafts: Sequence[Draft]) -> list[Sent | DomainError]:
    """Send messages of many people in one transaction; return for each what became of it.

    A draft whose client id its sender has used before gives the message of that time. Two
    processes may find that out at once: the table's constraint then undoes the later of the
    transactions, and its next try sees what the other has written. So does one whose sender or
    receiver was deleted after the look.
    """
    for _ in range(TRIES - 1):
        try:
            return _messages_send(drafts)
        except IntegrityError:
            continue
    return _messages_send(drafts)


@transaction.atomic
def _messages_send(drafts: Sequence[Draft]) -> list[Sent | DomainError]:
    people = User.objects.in_bulk({d.sender_id for d in drafts} | {d.receiver_id for d in drafts})
    known = _already_sent(drafts)
    outcomes: list[Sent | DomainError | None] = [None] * len(drafts)
    fresh: list[tuple[int, Draft]] = []
    first_with: dict[tuple[UUID, str], int] = {}
    repeats: list[tuple[int, int]] = []
    for index, draft in enumerate(drafts):
        key = (draft.sender_id, draft.client_id or "")
        try:
            require_sender(people.get(draft.sender_id))
            if draft.client_id and key in known:
                outcomes[index] = Sent(known[key], MessageOutput.show(known[key]), created=False)
                continue
            require_may_send(draft.sender_id, draft.receiver_id, people.get(draft.receiver_id))
        except DomainError as error:
            outcomes[index] = error
            continue
        if draft.client_id and key in first_with:
            repeats.append((index, first_with[key]))
        else:
            first_with[key] = index
            fresh.append((index, draft))
    for (index, _), sent in zip(fresh, _store([d for _, d in fresh], people), strict=True):
        outcomes[index] = sent
    for index, first in repeats:
        sent_first = outcomes[first]
        assert isinstance(sent_first, Sent)
        outcomes[index] = Sent(sent_first.message, sent_first.shape, created=False)
    return [outcome for outcome in outcomes if outcome is not None]


def _already_sent(drafts: Sequence[Draft]) -> dict[tuple[UUID, str], Message]:
    pairs = {(draft.sender_id, draft.client_id) for draft in drafts if draft.client_id}
    # Pair by pair: many clients number their messages 1, 2, 3 …, and of a group's senders each
    # would otherwise be asked for the messages with the numbers of all.
    keys = matching(Message, ("sender", "client_id"), pairs) if pairs else []
    if not keys:
        return {}
    messages = Message.objects.filter(pk__in=keys).select_related("sender", "receiver")
    return {(message.sender_id, message.client_id or ""): message for message in messages}


def _store(drafts: Sequence[Draft], people: Mapping[UUID, User]) -> list[Sent]:
    if not drafts:
        return []
    pairs = [pair_of(draft.sender_id, draft.receiver_id) for draft in drafts]
    conversations = _take_numbers(pairs)
    now = timezone.now()
    messages = []
    for draft, pair in zip(drafts, pairs, strict=True):
        conversation = conversations[pair]
        conversation.next += 1
        messages.append(
            Message(
                conversation_id=conversation.id,
                seq=conversation.next,
                sender=people[draft.sender_id],
                receiver=people[draft.receiver_id],
                content=draft.content,
                type=draft.type,
                client_id=draft.client_id,
                created_at=now,
            )
        )
    Message.objects.bulk_create(messages)
    _list_as_last(messages)
    sent = [Sent(message, MessageOutput.show(message), created=True) for message in messages]
    events.messages_sent((one.message, one.shape) for one in sent)
    return sent


@dataclass
class _Numbered:
    """A locked conversation and the last of its numbers that is in use."""

    id: UUID
    next: int


def _take_numbers(pairs: Sequence[str]) -> dict[str, _Numbered]:
    """Make, lock and move on the conversations in one statement, in the order of their pairs."""
    counts = {pair: pairs.count(pair) for pair in sorted(set(pairs))}
    rows = insert(
        Conversation,
        ("id", "pair", "last_seq"),
        [(uuid7(), pair, count) for pair, count in counts.items()],
        "ON CONFLICT (pair) DO UPDATE SET last_seq = {table}.last_seq + excluded.last_seq "
        "RETURNING id, pair, last_seq",
    )
    return {
        pair: _Numbered(UUID(str(key)), last_seq - counts[pair]) for key, pair, last_seq in rows
    }


def _list_as_last(messages: Sequence[Message]) -> None:
    """Put each conversation's newest message at the top of the lists of its two people."""
    newest = {message.conversation_id: message for message in messages}
    insert(
        Membership,
        ("id", "conversation", "user", "peer", "last_message", "last_message_at"),
        [
            (uuid7(), message.conversation_id, user, peer, message.pk, message.created_at)
            for message in newest.values()
            for user, peer in (
                (message.sender_id, message.receiver_id),
                (message.receiver_id, message.sender_id),
            )
        ],
        "ON CONFLICT (conversation_id, user_id) DO UPDATE SET "
        "last_message_id = excluded.last_message_id, last_message_at = excluded.last_message_at",
    )


@transaction.atomic
def message_delete(*, user: User, message_id: UUID) -> None:
    """Delete a message for both, and its words from the log and from every answer that is kept;
    raise MessageNotFound or NotYourMessageToDelete."""
    found = Message.objects.filter(pk=message_id, deleted_at=None).first()
    if found is None or not takes_part(user, found):
        raise MessageNotFound
    if found.sender_id != user.pk:
        raise NotYourMessageToDelete
    Conversation.objects.select_for_update().get(pk=found.conversation_id)
    # Somebody else may have deleted it between the look and the lock.
    still_there = Message.objects.filter(pk=found.pk, deleted_at=None)
    message = still_there.select_for_update().first()
    if message is None:
        raise MessageNotFound
    Message.objects.filter(pk=message.pk).update(deleted_at=timezone.now())
    remaining = Message.objects.filter(conversation=message.conversation_id, deleted_at=None)
    last = remaining.order_by("-seq").first()
    Membership.objects.filter(conversation=message.conversation_id).update(
        last_message=last, last_message_at=(last or message).created_at
    )
    idempotency.redact([message.pk], {"data": {"content": ""}})
    events.message_deleted(message)
