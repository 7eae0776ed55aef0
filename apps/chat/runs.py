"""Runs: of which messages a receipt is news, told by as few first and last numbers as possible.

A run has no message of another user in it but those that are meant, so that one receipt covers it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, Expression, F, IntegerField, UUIDField, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import IsNull

from apps.chat.models import Membership, Message, Receipt
from apps.chat.queries import COVERED_AT, covered_at
from apps.core.db.sql import SqlText

Kind = Receipt.Kind

# Up to where a membership has something without a gap.
CURSORS = {Kind.READ: "read_seq", Kind.DELIVERED: "delivered_seq"}


HAS_GAPS = """EXISTS (
    SELECT 1 FROM chat_receipt receipt
    WHERE receipt.conversation_id = {conversation} AND receipt.user_id = {user}
    AND receipt.kind = {kind} AND receipt.last_seq > {cursor}
)"""
# How many numbers are looked at at once. A database that knows only how long a conversation is on
# average may sort all of one, where it should go along an index to the first that fits.
STRETCH = 50
# The number of the message of another user before; or, when none is within the stretch, of the last
# that may be one.
BEFORE = """COALESCE((
    SELECT max(message.seq) FROM chat_message message
    WHERE message.conversation_id = {conversation} AND message.sender_id <> {user}
    AND message.seq < {seq} AND message.seq >= {seq} - {stretch}
), {seq} - {stretch} - 1)"""
_COVERED = COVERED_AT.replace("{seq}", "message.seq")
BEFORE_GAP = """(
    SELECT min(message.seq) - 1 FROM chat_message message
    WHERE message.conversation_id = {conversation} AND message.sender_id <> {user}
    AND message.seq > {cursor} AND message.seq <= {until} AND message.deleted_at IS NULL
    AND <read_at> IS NULL AND <there_at> IS NULL
)"""
BEFORE_GAP = BEFORE_GAP.replace("<there_at>", _COVERED)
BEFORE_GAP = BEFORE_GAP.replace("<read_at>", _COVERED.replace("{kind}", "'read'"))
LAST_END = """(
    SELECT max(receipt.last_seq) FROM chat_receipt receipt
    WHERE receipt.conversation_id = {conversation} AND receipt.user_id = {user}
    AND receipt.kind = {kind}
)"""


@dataclass
class Run:
    """Some messages of a conversation from a first to a last number. No other user has written a
    message between the number `before` and the first."""

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
    gaps: dict[str, Any] = {
        "has_gaps": SqlText(
            HAS_GAPS,
            BooleanField(),
            conversation="conversation",
            user="user",
            kind=Value(str(kind)),
            cursor=CURSORS[kind],
        )
    }
    own = Membership.objects.filter(user=user_id, conversation__in=conversations)
    locked = own.annotate(**gaps).order_by("conversation").select_for_update()
    return {one.conversation_id: one for one in locked}


def unmarked_messages(
    kind: Kind,
    memberships: Mapping[UUID, Membership],
    user_id: UUID,
    message_ids: Sequence[UUID],
    sender_id: UUID | None,
) -> list[Message]:
    """Return those of the messages that others, or that sender, wrote in these conversations and
    that the user has not read or, if delivery is meant, neither read nor got; in their order."""
    numbers: dict[str, Any] = {
        "before": SqlText(
            BEFORE,
            IntegerField(),
            conversation="conversation",
            seq="seq",
            user=Value(user_id, UUIDField()),
            stretch=Value(STRETCH),
        )
    }
    news = Message.objects.filter(pk__in=message_ids, conversation__in=memberships, deleted_at=None)
    news = news.exclude(sender=user_id).annotate(**numbers)
    if sender_id is not None:
        news = news.filter(sender=sender_id)
    for one in {Kind.READ, kind}:
        news = news.filter(IsNull(covered_at(one, user_id), True))
    cursor = CURSORS[kind]
    return [
        one
        for one in news.order_by("conversation", "seq").only("conversation", "seq", "sender")
        if one.seq > getattr(memberships[one.conversation_id], cursor)
    ]


def runs_of(news: Iterable[Message]) -> list[Run]:
    """Return the messages, which are in the order of their numbers, as runs."""
    runs: list[Run] = []
    for message in news:
        run = runs[-1] if runs else None
        same = run is not None and run.conversation_id == message.conversation_id
        if run and same and message.before <= run.last:
            run.last = message.seq
        else:
            runs.append(Run(message.conversation_id, message.before, message.seq, message.seq))
    return runs


def cursor_before_gap(kind: Kind) -> Coalesce:
    """Return the new cursor of memberships that have receipts behind it: up to the message before
    the first that is missing or, when none is, the end of the last receipt.

    Of what is sent at this moment the number is higher than that of any receipt. Most often the
    first that is missing is the next that another user wrote, so that is looked for first.
    """
    place: dict[str, str | Expression] = {
        "conversation": "conversation",
        "user": "user",
        "kind": Value(str(kind)),
        "cursor": CURSORS[kind],
    }
    untils = (F(CURSORS[kind]) + STRETCH, Value(2**63 - 1))
    number = IntegerField()
    missing = [SqlText(BEFORE_GAP, number, **place, until=until) for until in untils]
    return Coalesce(*missing, SqlText(LAST_END, number, **place))
