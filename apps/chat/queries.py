"""What is read, delivered and unread, as SQL that selectors and services share.

A user has read a message if one of their receipts covers its number. Receipts of one kind do not
overlap, so the first that ends at a number or after it is the only one that can cover it: one step
into an index, however many there are.
"""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.db.models import (
    BooleanField,
    DateTimeField,
    Expression,
    F,
    IntegerField,
    QuerySet,
    UUIDField,
    Value,
)

from apps.chat.models import Membership, Message, Receipt
from apps.core.db.sql import SqlText, matching

# A sender, and the id that their client gave to a message.
ClientKey = tuple[UUID, str]

READ, DELIVERED = Receipt.Kind.READ, Receipt.Kind.DELIVERED

COVERED_AT = """(
    SELECT CASE WHEN receipt.first_seq <= {seq} THEN receipt.at END FROM chat_receipt receipt
    WHERE receipt.conversation_id = {conversation} AND receipt.user_id = {user}
    AND receipt.kind = {kind} AND receipt.last_seq >= {seq} ORDER BY receipt.last_seq LIMIT 1
)"""

READ_BY_ALL = """(
    {kind} = 'group' AND NOT EXISTS (
        SELECT 1 FROM chat_membership member
        WHERE member.conversation_id = {conversation} AND member.user_id <> {sender}
        AND member.read_seq < {seq}
    )
)"""
DELIVERED_TO_ALL = """(
    NOT EXISTS (
        SELECT 1 FROM chat_membership member
        WHERE member.conversation_id = {conversation} AND member.user_id <> {sender}
        AND member.delivered_seq < {seq} AND ({kind} = 'direct' OR member.read_seq < {seq})
    ) OR ({kind} = 'direct' AND {covered_at} IS NOT NULL)
)"""

UNREAD = """((
    SELECT count(*) FROM chat_message message
    WHERE message.conversation_id = {conversation} AND message.seq > {read_seq}
    AND message.sender_id <> {user} AND message.deleted_at IS NULL
) - (
    SELECT count(*) FROM chat_receipt receipt
    JOIN chat_message message ON message.conversation_id = receipt.conversation_id
    AND message.seq >= receipt.first_seq AND message.seq <= receipt.last_seq
    WHERE receipt.conversation_id = {conversation} AND receipt.user_id = {user}
    AND receipt.kind = 'read' AND receipt.last_seq > {read_seq}
    AND message.seq > {read_seq} AND message.sender_id <> {user} AND message.deleted_at IS NULL
))"""


NEWEST = """(
    SELECT message.id FROM chat_message message
    WHERE message.conversation_id = {conversation} AND message.seq > {joined_seq}
    AND message.deleted_at IS NULL ORDER BY message.seq DESC LIMIT 1
)"""


def covered_at(kind: str, user: UUID | Expression) -> SqlText:
    """Return when a receipt of a user covered the message that is queried, or null."""
    reader = Value(user, UUIDField()) if isinstance(user, UUID) else user
    return SqlText(
        COVERED_AT,
        DateTimeField(),
        seq="seq",
        conversation="conversation",
        kind=Value(str(kind)),
        user=reader,
    )


def with_users(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Return the messages joined with the users that their output shows."""
    return messages.select_related("sender", "conversation__first", "conversation__second")


def with_status(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Return the messages with the columns that Message.status reads.

    The status of a direct message follows from the receipts of its receiver. A message to a group
    is delivered or read when the cursors of all other members have passed it; the cursors of a
    member who joins later start after it.
    """
    receiver = SqlText(
        "CASE WHEN {first} = {sender} THEN {second} ELSE {first} END",
        UUIDField(),
        first="conversation__first",
        second="conversation__second",
        sender="sender",
    )
    columns = {
        "seq": "seq",
        "conversation": "conversation",
        "sender": "sender",
        "kind": "conversation__kind",
    }
    status: dict[str, Any] = {
        "read_at": covered_at(READ, receiver),
        "is_read": SqlText(READ_BY_ALL, BooleanField(), **columns),
        "is_delivered": SqlText(
            DELIVERED_TO_ALL, BooleanField(), **columns, covered_at=covered_at(DELIVERED, receiver)
        ),
    }
    return messages.annotate(**status)


def sent_before(keys: Iterable[ClientKey]) -> dict[ClientKey, Message]:
    """Return the messages that were sent under one of the keys, by key, with status and users.

    Sender and client id are matched in pairs: many clients number their messages 1, 2, 3 …, so each
    of several senders would otherwise give the messages with the numbers of all.
    """
    pairs = list(keys)
    found = matching(Message, ("sender", "client_id"), pairs) if pairs else []
    if not found:
        return {}
    messages = with_users(with_status(Message.objects.filter(pk__in=found)))
    return {(message.sender_id, message.client_id or ""): message for message in messages}


def visible_to(user_id: UUID) -> QuerySet[Message]:
    """Return the messages that a user may see: those of their conversations that were sent after
    they joined and are not deleted."""
    return Message.objects.filter(
        conversation__memberships__user=user_id,
        conversation__memberships__joined_seq__lt=F("seq"),
        deleted_at=None,
    )


def members_among(pairs: Collection[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Return those of the pairs of conversation and user that are memberships."""
    found = matching(Membership, ("conversation", "user"), pairs) if pairs else []
    if not found:
        return set()
    return set(Membership.objects.filter(pk__in=found).values_list("conversation", "user"))


def unread_by(membership: Membership) -> QuerySet[Message]:
    """Return the messages of others in the conversation that the member has not read."""
    reader = membership.user_id
    after_cursor = Message.objects.filter(
        conversation=membership.conversation_id, seq__gt=membership.read_seq, deleted_at=None
    ).exclude(sender=reader)
    return after_cursor.alias(was_read_at=covered_at(READ, reader)).filter(was_read_at=None)


def with_unread(memberships: QuerySet[Membership]) -> QuerySet[Membership]:
    """Return the memberships with the number of `unread` messages: those of others after the
    cursor, less those that receipts cover already."""
    unread: dict[str, Any] = {
        "unread": SqlText(
            UNREAD, IntegerField(), conversation="conversation", user="user", read_seq="read_seq"
        )
    }
    return memberships.annotate(**unread)


def with_list_columns(memberships: QuerySet[Membership]) -> QuerySet[Membership]:
    """Return the memberships with the columns of a list: the number of unread messages, and the id
    of the newest message."""
    newest: dict[str, Any] = {
        "newest_id": SqlText(
            NEWEST, UUIDField(), conversation="conversation", joined_seq="joined_seq"
        )
    }
    return with_unread(memberships).annotate(**newest)
