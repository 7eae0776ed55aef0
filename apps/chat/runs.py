"""Runs: the messages that a receipt newly covers, as few ranges of numbers as possible.

All messages of others within a run are newly covered, so that one receipt can stand for it.
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

# The number up to which a member has everything, without a gap.
CURSORS = {Kind.READ: "read_seq", Kind.DELIVERED: "delivered_seq"}


HAS_GAPS = """EXISTS (
    SELECT 1 FROM chat_receipt receipt
    WHERE receipt.conversation_id = {conversation} AND receipt.user_id = {user}
    AND receipt.kind = {kind} AND receipt.last_seq > {cursor}
)"""
# How many numbers one step of a search covers. A database knows only the average length of a
# conversation, so without this bound it may sort all of a long one instead of walking an index.
STRETCH = 50
# The number of the previous message of another user or, when none is within the stretch, the number
# before the stretch: a message of another user may be there.
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
    AND <read_at> IS NULL AND <delivered_at> IS NULL
)"""
BEFORE_GAP = BEFORE_GAP.replace("<delivered_at>", _COVERED)
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
    """Lock the user's memberships of the conversations of some messages, in the order of their
    conversations, and return them by conversation, with whether receipts lie after their
    cursors."""
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
    """Return the messages that others, or one sender, wrote in these conversations and that a
    receipt of the kind does not cover yet, ordered by number. What is read needs no delivery."""
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
    unmarked = Message.objects.filter(
        pk__in=message_ids, conversation__in=memberships, deleted_at=None
    )
    unmarked = unmarked.exclude(sender=user_id).annotate(**numbers)
    if sender_id is not None:
        unmarked = unmarked.filter(sender=sender_id)
    for one in {Kind.READ, kind}:
        unmarked = unmarked.filter(IsNull(covered_at(one, user_id), True))
    cursor = CURSORS[kind]
    return [
        one
        for one in unmarked.order_by("conversation", "seq").only("conversation", "seq", "sender")
        if one.seq > getattr(memberships[one.conversation_id], cursor)
    ]


def runs_of(messages: Iterable[Message]) -> list[Run]:
    """Return the messages, which are ordered by conversation and number, as runs."""
    runs: list[Run] = []
    for message in messages:
        run = runs[-1] if runs else None
        same = run is not None and run.conversation_id == message.conversation_id
        if run and same and message.before <= run.last:
            run.last = message.seq
        else:
            runs.append(Run(message.conversation_id, message.before, message.seq, message.seq))
    return runs


def cursor_before_gap(kind: Kind) -> Coalesce:
    """Return the new cursor of memberships that have receipts after it: the number before the first
    message that no receipt covers or, when there is none, the end of the last receipt.

    A message that is sent at this moment has a higher number than any receipt. The first message
    without a receipt is most often the next one of another user, so a short stretch is searched
    first.
    """
    columns: dict[str, str | Expression] = {
        "conversation": "conversation",
        "user": "user",
        "kind": Value(str(kind)),
        "cursor": CURSORS[kind],
    }
    untils = (F(CURSORS[kind]) + STRETCH, Value(2**63 - 1))
    number = IntegerField()
    before_gap = [SqlText(BEFORE_GAP, number, **columns, until=until) for until in untils]
    return Coalesce(*before_gap, SqlText(LAST_END, number, **columns))
