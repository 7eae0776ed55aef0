"""Sending and deleting messages.

Lock order of the chat: delivery cursors, groups by id, direct conversations by their pair,
memberships by conversation and user, messages by id, kept answers by id, then the streams by name.
Who belongs to a conversation, its title and its numbers are only changed under its lock; what
somebody has read of it, under that of their membership.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.errors import SessionOver
from apps.accounts.models import User
from apps.chat import events
from apps.chat.errors import (
    ConversationNotFound,
    MessageNotFound,
    NotYourMessageToDelete,
    ReceiverNotFound,
    ToOneself,
)
from apps.chat.models import Conversation, Membership, Message, Pair, pair_of
from apps.chat.policies import is_there, may_delete
from apps.chat.queries import members_among, seen_by, sent_before, with_people, with_status
from apps.chat.serializers import MessageOutput
from apps.core.errors import DomainError, require
from apps.core.http import idempotency

TRIES = 3


@dataclass(frozen=True)
class Draft:
    """A message that somebody wants to send: to a user or, without one, to a group."""

    sender_id: UUID
    receiver_id: UUID | None
    content: str
    type: str = Message.Type.TEXT
    client_id: str | None = None
    conversation_id: UUID | None = None


@dataclass(frozen=True)
class Sent:
    """A message that was sent, now or by an earlier try with the same client id, as it is shown."""

    message: Message
    shape: Mapping[str, Any]
    created: bool


Outcome = Sent | DomainError


def message_send(draft: Draft) -> Sent:
    """Send one message; raise SessionOver, ToOneself, ReceiverNotFound or ConversationNotFound."""
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
    messages = with_people(with_status(Message.objects.filter(pk=sent.message.pk)))
    message = messages.select_for_update(of=("self",)).first() or sent.message
    return _sent(message, created=False)


def messages_send(drafts: Sequence[Draft]) -> list[Outcome]:
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
def _messages_send(drafts: Sequence[Draft]) -> list[Outcome]:
    """Refuse what may not be sent, find what was sent before, and store each of the rest once."""
    keys = [(one.sender_id, one.client_id or number) for number, one in enumerate(drafts)]
    place = _look_around(drafts)
    outcomes = [place.refusal_or_repetition(draft) for draft in drafts]
    fresh: dict[Hashable, Draft] = {}
    for key, draft, outcome in zip(keys, drafts, outcomes, strict=True):
        if outcome is None:
            fresh.setdefault(key, draft)
    stored = dict(zip(fresh, _store([*fresh.values()], place), strict=True))
    return [
        outcome or replace(stored[key], created=fresh[key] is draft)
        for key, draft, outcome in zip(keys, drafts, outcomes, strict=True)
    ]


@dataclass(frozen=True)
class _Place:
    """What is there before some drafts are sent: users, their earlier messages, the groups, which
    are locked, and those who belong to these."""

    users: Mapping[UUID, User]
    known: Mapping[tuple[UUID, str], Message]
    groups: Mapping[UUID, Conversation]
    members: Collection[tuple[UUID, UUID]]

    def refusal_or_repetition(self, draft: Draft) -> Outcome | None:
        """Return why the draft may not be sent, or what was sent under its client id before."""
        try:
            require(is_there(self.users.get(draft.sender_id)), SessionOver)
            known = self.known.get((draft.sender_id, draft.client_id or ""))
            if known is not None:
                return _sent(known, created=False)
            if draft.receiver_id is None:
                place = (draft.conversation_id, draft.sender_id)
                require(place in self.members, ConversationNotFound)
                return None
            if draft.receiver_id == draft.sender_id:
                raise ToOneself.refused()
            require(is_there(self.users.get(draft.receiver_id)), ReceiverNotFound)
        except DomainError as error:
            return error
        return None


def _look_around(drafts: Sequence[Draft]) -> _Place:
    people = {one for draft in drafts for one in (draft.sender_id, draft.receiver_id)}
    to_groups = {(one.conversation_id, one.sender_id) for one in drafts if one.conversation_id}
    groups = Conversation.objects.locked({group for group, _ in to_groups}) if to_groups else []
    return _Place(
        users=User.objects.in_bulk(people - {None}),
        known=sent_before({(one.sender_id, one.client_id) for one in drafts if one.client_id}),
        groups={group.pk: group for group in groups},
        members=members_among(to_groups),
    )


def _store(drafts: Sequence[Draft], place: _Place) -> list[Sent]:
    if not drafts:
        return []
    now = timezone.now()
    direct: defaultdict[Pair, list[Message]] = defaultdict(list)
    in_groups: defaultdict[Conversation, list[Message]] = defaultdict(list)
    messages = []
    for draft in drafts:
        message = Message(
            sender=place.users[draft.sender_id],
            content=draft.content,
            type=draft.type,
            client_id=draft.client_id,
            created_at=now,
        )
        messages.append(message)
        if draft.receiver_id:
            direct[pair_of(draft.sender_id, draft.receiver_id)].append(message)
        elif draft.conversation_id:
            in_groups[place.groups[draft.conversation_id]].append(message)
    if in_groups:
        Conversation.objects.number_in_groups(in_groups)
    if direct:
        Conversation.objects.number_direct(direct, place.users)
    Message.objects.bulk_create(messages)
    if direct:
        Membership.objects.list_direct(direct.values())
    sent = [_sent(message, created=True) for message in messages]
    events.messages_sent((one.message, one.shape) for one in sent)
    return sent


def _sent(message: Message, *, created: bool) -> Sent:
    return Sent(message, MessageOutput.dump(message), created)


@transaction.atomic
def message_delete(actor: User, *, message_id: UUID) -> None:
    """Delete a message for all, and its words from the log and from every answer that is kept;
    raise MessageNotFound or NotYourMessageToDelete."""
    there = seen_by(actor.pk).filter(pk=message_id)
    found = there.first()
    if found is None:
        raise MessageNotFound
    require(may_delete(actor, found), NotYourMessageToDelete)
    [conversation] = Conversation.objects.locked([found.conversation_id])
    memberships = Membership.objects.of_direct(conversation)
    # Whoever reads it at this moment has done so before, or finds it deleted.
    list(memberships.order_by("user").select_for_update())
    # Somebody else may have deleted it between the look and the locks.
    message = there.select_for_update(of=("self",)).first()
    if message is None:
        raise MessageNotFound
    message.conversation = conversation
    Message.objects.filter(pk=message.pk).update(deleted_at=timezone.now())
    last = conversation.messages.filter(deleted_at=None).order_by("-seq").first()
    if last is None or last.seq < message.seq:
        conversation.last_message_at = (last or message).created_at
        conversation.save(update_fields=["last_message_at"])
        memberships.update(last_message_at=last and last.created_at)
    idempotency.redact_answers([message.pk], {"data": {"content": ""}})
    events.message_deleted(message)
