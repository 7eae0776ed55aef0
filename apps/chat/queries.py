"""What is read, delivered and unread, as SQL that selectors and services share.

Somebody has read a message if one of their receipts covers its number. Receipts of one kind do not
overlap, so the first that ends at or behind a number is the only one that can cover it: one step
into an index, however many there are.
"""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.db.models import (
    Case,
    Count,
    DateTimeField,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    When,
)
from django.db.models.functions import Coalesce

from apps.chat.models import Conversation, Membership, Message, Receipt
from apps.core.db.sql import matching

# A sender, and the id by which their client knows what it sends.
ClientKey = tuple[UUID, str]

READ, DELIVERED = Receipt.Kind.READ, Receipt.Kind.DELIVERED


def covered_at(kind: str, user: UUID | OuterRef) -> Subquery:
    """Return when a receipt of somebody covered the message of the query around, or null."""
    ending_behind = Receipt.objects.filter(
        conversation=OuterRef("conversation"), user=user, kind=kind, last_seq__gte=OuterRef("seq")
    ).order_by("last_seq")
    covering = Case(When(first_seq__lte=OuterRef("seq"), then="at"))
    return Subquery(ending_behind.values_list(covering)[:1], output_field=DateTimeField())


def with_people(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Return the messages joined with the users that they are shown with."""
    return messages.select_related("sender", "conversation__first", "conversation__second")


def with_status(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Return the messages with what Message.status is made of.

    Of a direct message that is what the other user's receipts say. In a group all others must have
    got that far, each of them without a gap; who joined later stands behind it from the start.
    """
    reader = Case(
        When(conversation__first=F("sender"), then="conversation__second"),
        default="conversation__first",
    )
    members = Membership.objects.filter(conversation=OuterRef("conversation"))
    delivered = members.filter(user=OuterRef("reader"), delivered_seq__gte=OuterRef("seq"))
    unread = members.exclude(user=OuterRef("sender")).filter(read_seq__lt=OuterRef("seq"))
    undelivered = unread.filter(delivered_seq__lt=OuterRef("seq"))
    group = Q(conversation__kind=Conversation.Kind.GROUP)
    status: dict[str, Any] = {
        "read_at": covered_at(READ, OuterRef("reader")),
        "is_read": group & ~Exists(unread),
        "is_delivered": (group & ~Exists(undelivered))
        | (~group & (Exists(delivered) | Q(had_at__isnull=False))),
    }
    with_reader = messages.alias(reader=reader)
    return with_reader.alias(had_at=covered_at(DELIVERED, OuterRef("reader"))).annotate(**status)


def sent_before(keys: Iterable[ClientKey]) -> dict[ClientKey, Message]:
    """Return those messages that were sent under one of the keys, with status and people.

    They are looked up key by key: many clients number their messages 1, 2, 3 …, and of several
    senders each would otherwise be asked for the messages with the numbers of all.
    """
    asked = list(keys)
    found = matching(Message, ("sender", "client_id"), asked) if asked else []
    if not found:
        return {}
    messages = with_people(with_status(Message.objects.filter(pk__in=found)))
    return {(message.sender_id, message.client_id or ""): message for message in messages}


def seen_by(user_id: UUID) -> QuerySet[Message]:
    """Return the messages that a user may see: those of their conversations that were sent since
    they joined, and not deleted."""
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
    """Return what others said in the conversation of the membership and its user has not read."""
    reader = membership.user_id
    behind = Message.objects.filter(
        conversation=membership.conversation_id, seq__gt=membership.read_seq, deleted_at=None
    ).exclude(sender=reader)
    return behind.alias(was_read_at=covered_at(READ, reader)).filter(was_read_at=None)


def with_unread(memberships: QuerySet[Membership]) -> QuerySet[Membership]:
    """Return the memberships with how many messages are `unread`: those by others behind the
    cursor, less those that receipts cover all the same."""
    behind = (
        Message.objects.filter(conversation=OuterRef("conversation"), deleted_at=None)
        .exclude(sender=OuterRef("user"))
        .filter(seq__gt=OuterRef("read_seq"))
    )
    covered = behind.filter(
        conversation__receipts__user=OuterRef("user"),
        conversation__receipts__kind=READ,
        conversation__receipts__last_seq__gt=OuterRef("read_seq"),
        conversation__receipts__first_seq__lte=F("seq"),
        conversation__receipts__last_seq__gte=F("seq"),
    )
    unread: dict[str, Any] = {"unread": _count(behind) - _count(covered)}
    return memberships.annotate(**unread)


def _count(messages: QuerySet[Message]) -> Coalesce:
    counted = messages.order_by().values("conversation").values_list(Count("pk"))
    return Coalesce(Subquery(counted), 0)
