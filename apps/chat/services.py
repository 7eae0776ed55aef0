"""Sending and deleting messages.

Lock order of the chat: delivery cursors, groups by id, direct conversations by their pair,
memberships by conversation and user, messages by id, stored responses by id, then the streams by
name. The members of a conversation, its title and its numbers only change under its lock; what a
member has read of it, under the lock of their membership.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.blocks import Blocks
from apps.accounts.errors import SessionOver, UsersBlocked
from apps.accounts.models import User
from apps.accounts.selectors import users_by_id
from apps.chat import events
from apps.chat.errors import (
    ConversationNotFound,
    MessageNotFound,
    NotYourMessageToDelete,
    ReceiverNotFound,
    ToOneself,
)
from apps.chat.models import Conversation, Membership, Message, Pair, pair_of
from apps.chat.policies import may_chat, may_delete
from apps.chat.queries import (
    ClientKey,
    members_among,
    sent_before,
    visible_to,
    with_status,
    with_users,
)
from apps.chat.serializers import MessageOutput
from apps.core.db.sql import insert_objects
from apps.core.errors import DomainError, require
from apps.core.http import idempotency
from apps.core.ids import uuid7s
from apps.core.metrics import Counter

STORED = Counter("parley_messages_stored_total", "Messages that were stored.")

TRIES = 3


@dataclass(frozen=True)
class Draft:
    """A message to send: to a user or, without a receiver, to a group."""

    sender_id: UUID
    receiver_id: UUID | None
    content: str
    type: str = Message.Type.TEXT
    client_id: str | None = None
    conversation_id: UUID | None = None


@dataclass(frozen=True)
class Sent:
    """A message and its output. It was created now, or by an earlier try with its client id."""

    message: Message
    output: Mapping[str, Any]
    created: bool


Outcome = Sent | DomainError


def message_send(draft: Draft) -> Sent:
    """Send one message; raise SessionOver, ToOneself, ReceiverNotFound, UsersBlocked or
    ConversationNotFound."""
    [outcome] = messages_send([draft])
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome if outcome.created else _reload_locked(outcome)


@transaction.atomic
def _reload_locked(sent: Sent) -> Sent:
    """Return a message that was sent before as it is now, under its lock.

    The response may be stored under an Idempotency-Key. A concurrent deletion waits for that, and
    then removes the content from the stored response.
    """
    messages = with_users(with_status(Message.objects.filter(pk=sent.message.pk)))
    message = messages.select_for_update(of=("self",)).first() or sent.message
    return _sent(message, created=False)


def messages_send(drafts: Sequence[Draft]) -> list[Outcome]:
    """Send messages of many senders in one transaction; return the outcome of each draft.

    A draft with a client id that its sender has used before returns the earlier message. Two
    processes may store such drafts at once: a constraint of the table then undoes the later
    transaction, and its next try reads the message of the other. A transaction is also undone when
    a sender or receiver is deleted after the transaction has read them.
    """
    for _ in range(TRIES - 1):
        try:
            return _messages_send(drafts)
        except IntegrityError:
            continue
    return _messages_send(drafts)


@transaction.atomic
def _messages_send(drafts: Sequence[Draft]) -> list[Outcome]:
    """Return for each draft its refusal, the message that it repeats, or its new message."""
    context = _load_context(drafts)
    outcomes = [_refused_or_sent_before(draft, context) for draft in drafts]
    new = [draft for draft, outcome in zip(drafts, outcomes, strict=True) if outcome is None]
    stored = iter(_store_once(new, context))
    return [outcome or next(stored) for outcome in outcomes]


@dataclass(frozen=True)
class _Context:
    """What the drafts refer to: users, messages that were sent before, groups, which are locked,
    which senders are members of these, and between whom there is a block."""

    users: Mapping[UUID, User]
    sent_before: Mapping[ClientKey, Message]
    groups: Mapping[UUID, Conversation]
    members: Collection[tuple[UUID, UUID]]
    blocks: Blocks


def _load_context(drafts: Sequence[Draft]) -> _Context:
    users = {user for draft in drafts for user in (draft.sender_id, draft.receiver_id)}
    to_groups = {(one.conversation_id, one.sender_id) for one in drafts if one.conversation_id}
    groups = Conversation.objects.locked({group for group, _ in to_groups}) if to_groups else []
    return _Context(
        users=users_by_id(one for one in users if one),
        sent_before=sent_before(
            {(one.sender_id, one.client_id) for one in drafts if one.client_id}
        ),
        groups={group.pk: group for group in groups},
        members=members_among(to_groups),
        blocks=Blocks((one.sender_id, one.receiver_id) for one in drafts if one.receiver_id),
    )


def _refused_or_sent_before(draft: Draft, context: _Context) -> Outcome | None:
    """Return why a draft is refused, or what was sent before under its client id.

    An earlier message is returned even if its receiver can no longer receive messages.
    """
    try:
        require(may_chat(context.users.get(draft.sender_id)), SessionOver)
        earlier = context.sent_before.get((draft.sender_id, draft.client_id or ""))
        if earlier is not None:
            return _sent(earlier, created=False)
        _require_recipient(draft, context)
    except DomainError as refusal:
        return refusal
    return None


def _require_recipient(draft: Draft, context: _Context) -> None:
    """Raise ConversationNotFound, ToOneself, ReceiverNotFound or UsersBlocked unless the sender may
    write to the group or to the receiver."""
    if draft.receiver_id is None:
        member = (draft.conversation_id, draft.sender_id)
        require(member in context.members, ConversationNotFound)
        return
    if draft.receiver_id == draft.sender_id:
        raise ToOneself.refused()
    require(may_chat(context.users.get(draft.receiver_id)), ReceiverNotFound)
    require(not context.blocks.between(draft.sender_id, draft.receiver_id), UsersBlocked)


def _store_once(drafts: Sequence[Draft], context: _Context) -> list[Sent]:
    """Store new messages and return one for each draft: drafts of one sender with one client id are
    one message, which the first of them creates."""
    keys = [(draft.sender_id, draft.client_id or number) for number, draft in enumerate(drafts)]
    first: dict[Hashable, Draft] = {}
    for key, draft in zip(keys, drafts, strict=True):
        first.setdefault(key, draft)
    stored = dict(zip(first, _store([*first.values()], context), strict=True))
    repeats = {key: replace(sent, created=False) for key, sent in stored.items()}
    return [stored.pop(key, repeats[key]) for key in keys]


def _store(drafts: Sequence[Draft], context: _Context) -> list[Sent]:
    """Give the drafts their numbers, write them as messages, and publish these."""
    if not drafts:
        return []
    now = timezone.now()
    direct: defaultdict[Pair, list[Message]] = defaultdict(list)
    in_groups: defaultdict[Conversation, list[Message]] = defaultdict(list)
    messages = []
    for id_, draft in zip(uuid7s(len(drafts)), drafts, strict=True):
        message = Message(
            id=id_,
            sender=context.users[draft.sender_id],
            content=draft.content,
            type=draft.type,
            client_id=draft.client_id,
            created_at=now,
        )
        messages.append(message)
        if draft.receiver_id:
            direct[pair_of(draft.sender_id, draft.receiver_id)].append(message)
        elif draft.conversation_id:
            in_groups[context.groups[draft.conversation_id]].append(message)
    if in_groups:
        Conversation.objects.number_in_groups(in_groups)
    if direct:
        Conversation.objects.number_direct(direct, context.users)
    insert_objects(messages)
    transaction.on_commit(partial(STORED.add, len(messages)), robust=True)
    if direct:
        Membership.objects.update_direct(direct.values())
    sent = [_sent(message, created=True) for message in messages]
    events.messages_sent((one.message, one.output) for one in sent)
    return sent


def _sent(message: Message, *, created: bool) -> Sent:
    return Sent(message, MessageOutput.dump(message), created)


@transaction.atomic
def message_delete(actor: User, *, message_id: UUID) -> None:
    """Delete a message for all members, and its words from the log and from every stored response;
    raise MessageNotFound or NotYourMessageToDelete."""
    visible = visible_to(actor.pk).filter(pk=message_id)
    found = visible.first()
    if found is None:
        raise MessageNotFound
    require(may_delete(actor, found), NotYourMessageToDelete)
    [conversation] = Conversation.objects.locked([found.conversation_id])
    memberships = Membership.objects.of_direct(conversation)
    # A member who reads the message at this moment has read it before, or finds it deleted.
    list(memberships.order_by("user").select_for_update())
    # Another device may have deleted it before the locks were taken.
    message = visible.select_for_update(of=("self",)).first()
    if message is None:
        raise MessageNotFound
    message.conversation = conversation
    Message.objects.filter(pk=message.pk).update(deleted_at=timezone.now())
    last = conversation.messages.filter(deleted_at=None).order_by("-seq").first()
    if last is None or last.seq < message.seq:
        conversation.last_message_at = (last or message).created_at
        conversation.save(update_fields=["last_message_at"])
        memberships.update(last_message_at=last and last.created_at)
    idempotency.redact_answers({message.pk: {"data": {"content": ""}}})
    events.message_deleted(message)
