"""Marking messages of others as delivered to a device, and as read.

However many messages a call names, it works in parts: each part is a transaction of its own that
ends with its own event. So no event is too large for a client, no transaction holds its locks for
long, and when a process dies the next call does the rest
(docs/decisions/0016-receipts-in-parts.md).

A part writes one receipt for each run of messages that it marks. A run contains all messages of
others between its first and last number, so these two describe it
(docs/decisions/0026-memberships.md). Lock order: see services.py.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.accounts.blocks import blocked_among
from apps.chat.events import MessageReceived
from apps.chat.models import DeliveryCursor, Membership, Message, Receipt
from apps.chat.queries import unread_by
from apps.chat.receipt_events import GroupProgress, messages_delivered, messages_read
from apps.chat.runs import (
    CURSORS,
    Run,
    cursor_before_gap,
    memberships_locked,
    runs_of,
    unmarked_messages,
)
from apps.chat.selectors import membership_get
from apps.chat.serializers import MOST_IDS
from apps.core.db.sql import insert
from apps.realtime.models import LoggedEvent
from apps.realtime.streams import USER

# A part has as many messages as a request may name, which makes an event of 20 kB.
PART = MOST_IDS
# Unread messages are read for so many parts at a time.
PARTS_PER_QUERY = 20
# A call begins no further part after so many seconds: threads are few, and other calls wait for
# one.
LONGEST = 1.0

Part = Callable[[], int]
Mark = Callable[[Sequence[UUID]], int]
Kind = Receipt.Kind


@dataclass(frozen=True)
class MarkResult:
    """How many messages changed. If some are `remaining`, the same call continues with those."""

    updated: int
    remaining: bool = False

    def as_dict(self) -> Mapping[str, Any]:
        """Return the result as ReceiptOutput shows it."""
        return {"updated": self.updated} | ({"remaining": True} if self.remaining else {})


def messages_mark_read(
    actor_id: UUID,
    *,
    message_ids: Sequence[UUID] | None = None,
    conversation_id: UUID | None = None,
    up_to: int = 0,
    sender_id: UUID | None = None,
) -> MarkResult:
    """Mark messages of others as read by the actor and return how many changed.

    Either `message_ids` names them, and ids of other conversations are ignored, or
    `conversation_id` with the last number `up_to` (raises ConversationNotFound). `sender_id` limits
    them to one sender.
    """
    mark = partial(_mark, Kind.READ, actor_id, sender_id=sender_id)
    if conversation_id is not None:
        return _in_parts(_unread_parts(membership_get(actor_id, conversation_id), up_to, mark))
    return _in_parts(_parts_of(message_ids or (), mark))


def messages_mark_delivered(
    actor_id: UUID, *, message_ids: Sequence[UUID] | None = None, seq: int = 0
) -> MarkResult:
    """Mark messages of others as delivered to a device of the actor and return how many changed.

    Either `message_ids` names them, or they are those of the actor's stream up to the event `seq`.
    """
    mark = partial(_mark, Kind.DELIVERED, actor_id)
    if message_ids is not None:
        return _in_parts(_parts_of(message_ids, mark))
    return _in_parts(_parts_up_to_event(actor_id, seq, mark))


def _in_parts(parts: Iterable[Part]) -> MarkResult:
    """Do one part after the other until the time is up; the first part is always done."""
    updated = 0
    deadline = time.monotonic() + LONGEST
    for number, part in enumerate(parts):
        if number and time.monotonic() > deadline:
            return MarkResult(updated, remaining=True)
        with transaction.atomic():
            updated += part()
    return MarkResult(updated)


def _parts_of(ids: Sequence[UUID], mark: Mark) -> Iterator[Part]:
    for start in range(0, len(ids), PART):
        yield partial(mark, ids[start : start + PART])


def _unread_parts(membership: Membership, up_to: int, mark: Mark) -> Iterator[Part]:
    unread = unread_by(membership).filter(seq__lte=up_to).order_by("seq")
    at_once = PARTS_PER_QUERY * PART
    after = 0
    while found := list(unread.filter(seq__gt=after).values_list("pk", "seq")[:at_once]):
        yield from _parts_of([pk for pk, _ in found], mark)
        after = found[-1][1]


def _parts_up_to_event(actor_id: UUID, seq: int, mark: Mark) -> Iterator[Part]:
    """Read the actor's stream from the end of the last call on.

    The number may be higher than the head of the stream. A later event will have it and is not
    delivered yet, so the cursor only moves to events that exist.
    """
    stream = USER.name(actor_id)
    cursor = DeliveryCursor.objects.filter(user=actor_id).first()
    logged = LoggedEvent.objects.filter(stream=stream, seq__lte=seq).order_by("seq")
    after = cursor.seq if cursor else 0
    while found := list(logged.filter(seq__gt=after).values_list("seq", "type", "subject")[:PART]):
        after = found[-1][0]
        ids = [subject for _, kind, subject in found if kind == MessageReceived.type and subject]
        yield partial(_mark_up_to_event, actor_id, ids, after, mark)
        if len(found) < PART:
            return


def _mark_up_to_event(actor_id: UUID, ids: Sequence[UUID], seq: int, mark: Mark) -> int:
    insert(
        DeliveryCursor,
        ("user", "seq"),
        [(actor_id, seq)],
        # Another device may have moved it further meanwhile.
        "ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq WHERE {table}.seq < excluded.seq",
    )
    return mark(ids)


def _mark(kind: Kind, actor_id: UUID, ids: Sequence[UUID], *, sender_id: UUID | None = None) -> int:
    """Write receipts for the messages that are not marked yet, publish them, and return the number
    of these messages."""
    memberships = memberships_locked(kind, actor_id, ids)
    unmarked = unmarked_messages(kind, memberships, actor_id, ids, sender_id)
    if not unmarked:
        return 0
    now = timezone.now()
    runs = runs_of(unmarked)
    separate = _move_cursors(kind, memberships, runs)
    # A delivery that moves the cursor needs no receipt: no output shows its time.
    kept = runs if kind == Kind.READ else separate
    insert(
        Receipt,
        ("conversation", "user", "kind", "first_seq", "last_seq", "at"),
        [(one.conversation_id, actor_id, kind, one.first, one.last, now) for one in kept],
    )
    _advance_over_receipts(kind, actor_id, memberships)
    _publish(kind, actor_id, memberships, unmarked, runs, now)
    return len(unmarked)


def _move_cursors(
    kind: Kind, memberships: Mapping[UUID, Membership], runs: Sequence[Run]
) -> list[Run]:
    """Move the cursors over the runs that begin at them, and return the other runs."""
    separate = []
    moved = set()
    for run in runs:
        membership = memberships[run.conversation_id]
        if run.before <= getattr(membership, CURSORS[kind]):
            setattr(membership, CURSORS[kind], run.last)
            moved.add(membership)
        else:
            membership.has_gaps = True
            separate.append(run)
    Membership.objects.move(moved, CURSORS[kind])
    return separate


def _advance_over_receipts(kind: Kind, actor_id: UUID, memberships: dict[UUID, Membership]) -> None:
    """Move the cursors over their receipts, up to the first message that none covers."""
    with_gaps = [one.pk for one in memberships.values() if one.has_gaps]
    if not with_gaps:
        return
    moved = Membership.objects.filter(pk__in=with_gaps)
    moved.update(**{CURSORS[kind]: cursor_before_gap(kind)})
    for membership in moved:
        memberships[membership.conversation_id] = membership
        if kind == Kind.DELIVERED:
            passed = Receipt.objects.filter(conversation=membership.conversation_id, kind=kind)
            passed.filter(user=actor_id, last_seq__lte=membership.delivered_seq).delete()


def _publish(
    kind: Kind,
    actor_id: UUID,
    memberships: Mapping[UUID, Membership],
    messages: Sequence[Message],
    runs: Sequence[Run],
    at: datetime,
) -> None:
    direct = [one for one in messages if not memberships[one.conversation_id].is_of_group]
    ranges: defaultdict[UUID, list[Mapping[str, int]]] = defaultdict(list)
    for run in runs:
        if memberships[run.conversation_id].is_of_group:
            ranges[run.conversation_id].append({"first": run.first, "last": run.last})
    groups = {
        group: GroupProgress(some, getattr(memberships[group], CURSORS[kind]))
        for group, some in ranges.items()
    }
    publish_receipts = messages_read if kind == Kind.READ else messages_delivered
    # Senders to whom there is a block learn nothing.
    silent = blocked_among(actor_id, {one.sender_id for one in direct})
    publish_receipts(actor_id, direct, silent, groups, at)
