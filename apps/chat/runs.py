"""Runs: of which messages a receipt is news, told by as few first and last numbers as possible.

A run has no message of another user in it but those that are meant, so that one receipt covers it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Subquery
from django.db.models.functions import Coalesce, Greatest

from apps.chat.models import Membership, Message, Receipt
from apps.chat.queries import covered_at

Kind = Receipt.Kind

# Up to where a membership has something without a gap.
CURSORS = {Kind.READ: "read_seq", Kind.DELIVERED: "delivered_seq"}


@dataclass
class Run:
    """Some messages of a conversation from a first to a last number. `before` is the number of the
    message of another user before them, or 0."""

    conversation_id: UUID
    before: int
    first: int
    last: int


def memberships_locked(
    kind: Kind, user_id: UUID, message_ids: Sequence[UUID]
) -> dict[UUID, Membership]:
    """Lock the user's memberships of the conversations of some messages, in the order of those, and
    return them by conversation, with whether receipts lie behind their cursors."""
    conversations = Message.objects.filter(pk__in=message_ids).values("conversation")
    behind = Receipt.objects.filter(
        conversation=OuterRef("conversation"),
        user=user_id,
        kind=kind,
        last_seq__gt=OuterRef(CURSORS[kind]),
    )
    own = Membership.objects.filter(user=user_id, conversation__in=conversations)
    gaps: dict[str, Any] = {"has_gaps": Exists(behind)}
    locked = own.annotate(**gaps).order_by("conversation").select_for_update()
    return {one.conversation_id: one for one in locked}


def news_among(
    kind: Kind,
    memberships: Mapping[UUID, Membership],
    user_id: UUID,
    message_ids: Sequence[UUID],
    sender_id: UUID | None,
) -> list[Message]:
    """Return those of the messages that others, or that sender, wrote in these conversations and
    that the user has not read or, if delivery is meant, neither read nor got; in their order."""
    by_others = Message.objects.exclude(sender=user_id)
    before = by_others.filter(conversation=OuterRef("conversation"), seq__lt=OuterRef("seq"))
    numbers: dict[str, Any] = {
        "before": Coalesce(Subquery(before.order_by("-seq").values("seq")[:1]), 0)
    }
    news = (
        by_others.filter(pk__in=message_ids, conversation__in=memberships, deleted_at=None)
        .alias(was_read_at=covered_at(Kind.READ, user_id))
        .filter(was_read_at=None)
        .annotate(**numbers)
        .order_by("conversation", "seq")
        .only("conversation", "seq", "sender")
    )
    if sender_id is not None:
        news = news.filter(sender=sender_id)
    if kind == Kind.DELIVERED:
        news = news.alias(was_there_at=covered_at(kind, user_id)).filter(was_there_at=None)
    cursor = CURSORS[kind]
    return [one for one in news if one.seq > getattr(memberships[one.conversation_id], cursor)]


def runs_of(news: Iterable[Message]) -> list[Run]:
    """Return the messages, which are in the order of their numbers, as runs."""
    runs: list[Run] = []
    for message in news:
        run = runs[-1] if runs else None
        if run and (run.conversation_id, run.last) == (message.conversation_id, message.before):
            run.last = message.seq
        else:
            runs.append(Run(message.conversation_id, message.before, message.seq, message.seq))
    return runs


def without_gap(kind: Kind, user_id: UUID) -> Greatest:
    """Return up to where the membership of the query around has everything: to the message before
    the first that is missing or, when none is, to the end of its last receipt.

    Of what is sent at this moment the number is higher than that of any receipt.
    """
    cursor = CURSORS[kind]
    missing = Message.objects.filter(
        conversation=OuterRef("conversation"), seq__gt=OuterRef(cursor), deleted_at=None
    ).exclude(sender=user_id)
    for one in {Kind.READ, kind}:
        missing = missing.alias(**{f"{one}_at": covered_at(one, user_id)})
        missing = missing.filter(**{f"{one}_at": None})
    receipts = Receipt.objects.filter(
        conversation=OuterRef("conversation"), user=user_id, kind=kind
    )
    first_missing = Subquery(missing.order_by("seq").values("seq")[:1])
    last_end = Subquery(receipts.order_by("-last_seq").values("last_seq")[:1])
    return Greatest(F(cursor), Coalesce(first_missing - 1, last_end, 0))
