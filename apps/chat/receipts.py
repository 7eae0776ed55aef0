"""What users say of the messages of others: that a device has them, and that they were read.

However many messages are meant, the work goes in parts: each is a transaction of its own that ends
with its own event. So no event is too large for a client, nobody waits long for a lock, and what a
process that dies leaves undone is done by the next call (docs/decisions/0016-receipts-in-parts.md).

A part writes one receipt for each run of messages that it is news of. A run has no message of
another user in it that the part does not mean, so it can be told by its first and last number
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

# A part is as large as what may be named at once, which makes an event of 20 kB.
PART = MOST_IDS
# Unread messages are looked up for so many parts at a time.
PARTS_PER_QUERY = 20
# Seconds after which a call begins no further part: the threads are few, and others wait for one.
LONGEST = 1.0

Part = Callable[[], int]
Mark = Callable[[Sequence[UUID]], int]
Kind = Receipt.Kind


@dataclass(frozen=True)
class MarkResult:
    """How many messages changed. If some are `remaining`, the same call goes on with those."""

    updated: int
    remaining: bool = False

    def as_dict(self) -> Mapping[str, Any]:
        """Return it as it is sent."""
        return {"updated": self.updated} | ({"remaining": True} if self.remaining else {})


def messages_mark_read(
    actor_id: UUID,
    *,
    message_ids: Sequence[UUID] | None = None,
    conversation_id: UUID | None = None,
    up_to: int = 0,
    sender_id: UUID | None = None,
) -> MarkResult:
    """Mark messages of others as read by the actor and return how many really changed.

    They are named by id, of which those of other conversations are passed over, or as those of a
    conversation up to a number (raises ConversationNotFound); `sender_id` narrows them down.
    """
    mark = partial(_mark, Kind.READ, actor_id, sender_id=sender_id)
    if conversation_id is not None:
        return _in_parts(_unread_parts(membership_get(actor_id, conversation_id), up_to, mark))
    return _in_parts(_parts_of(message_ids or (), mark))


def messages_mark_delivered(
    actor_id: UUID, *, message_ids: Sequence[UUID] | None = None, seq: int = 0
) -> MarkResult:
    """Note that a device of the actor has messages of others and return how many that is news of.

    They are named by id, or as those that the actor's stream told of up to the event `seq`.
    """
    mark = partial(_mark, Kind.DELIVERED, actor_id)
    if message_ids is not None:
        return _in_parts(_parts_of(message_ids, mark))
    return _in_parts(_parts_up_to_event(actor_id, seq, mark))


def _in_parts(parts: Iterable[Part]) -> MarkResult:
    """Do one part after the other, the first of them in any case."""
    updated = 0
    late = time.monotonic() + LONGEST
    for number, part in enumerate(parts):
        if number and time.monotonic() > late:
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
    """Go along the actor's stream from where the last call got to.

    The number may be one that the stream has not reached: what it will tell of under such a number
    is not delivered yet, so the cursor moves to events that there are.
    """
    stream = USER.name(actor_id)
    cursor = DeliveryCursor.objects.filter(user=actor_id).first()
    told = LoggedEvent.objects.filter(stream=stream, seq__lte=seq).order_by("seq")
    after = cursor.seq if cursor else 0
    while found := list(told.filter(seq__gt=after).values_list("seq", "type", "subject")[:PART]):
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
        # Another device may have got further meanwhile.
        "ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq WHERE {table}.seq < excluded.seq",
    )
    return mark(ids)


def _mark(kind: Kind, actor_id: UUID, ids: Sequence[UUID], *, sender_id: UUID | None = None) -> int:
    """Write the receipts of those of the messages that they are news of, and announce them."""
    memberships = memberships_locked(kind, actor_id, ids)
    news = unmarked_messages(kind, memberships, actor_id, ids, sender_id)
    if not news:
        return 0
    now = timezone.now()
    runs = runs_of(news)
    beyond = _move_cursors(kind, memberships, runs)
    # A delivery that only moves the cursor on leaves no receipt: nobody asks when it was.
    kept = runs if kind == Kind.READ else beyond
    insert(
        Receipt,
        ("conversation", "user", "kind", "first_seq", "last_seq", "at"),
        [(one.conversation_id, actor_id, kind, one.first, one.last, now) for one in kept],
    )
    _advance_over_receipts(kind, actor_id, memberships)
    _announce(kind, actor_id, memberships, news, runs, now)
    return len(news)


def _move_cursors(
    kind: Kind, memberships: Mapping[UUID, Membership], runs: Sequence[Run]
) -> list[Run]:
    """Move the cursors on over the runs that begin where they stand, and return the other runs."""
    beyond = []
    moved = set()
    for run in runs:
        membership = memberships[run.conversation_id]
        if run.before <= getattr(membership, CURSORS[kind]):
            setattr(membership, CURSORS[kind], run.last)
            moved.add(membership)
        else:
            membership.has_gaps = True
            beyond.append(run)
    Membership.objects.move(moved, CURSORS[kind])
    return beyond


def _advance_over_receipts(kind: Kind, actor_id: UUID, memberships: dict[UUID, Membership]) -> None:
    """Move cursors on to where something is missing, over the receipts that lie before that."""
    with_gaps = [one.pk for one in memberships.values() if one.has_gaps]
    if not with_gaps:
        return
    behind = Membership.objects.filter(pk__in=with_gaps)
    behind.update(**{CURSORS[kind]: cursor_before_gap(kind)})
    for membership in behind:
        memberships[membership.conversation_id] = membership
        if kind == Kind.DELIVERED:
            passed = Receipt.objects.filter(conversation=membership.conversation_id, kind=kind)
            passed.filter(user=actor_id, last_seq__lte=membership.delivered_seq).delete()


def _announce(
    kind: Kind,
    actor_id: UUID,
    memberships: Mapping[UUID, Membership],
    news: Sequence[Message],
    runs: Sequence[Run],
    at: datetime,
) -> None:
    direct = [one for one in news if not memberships[one.conversation_id].is_of_group]
    ranges: defaultdict[UUID, list[Mapping[str, int]]] = defaultdict(list)
    for run in runs:
        if memberships[run.conversation_id].is_of_group:
            ranges[run.conversation_id].append({"first": run.first, "last": run.last})
    groups = {
        group: GroupProgress(some, getattr(memberships[group], CURSORS[kind]))
        for group, some in ranges.items()
    }
    announce = messages_read if kind == Kind.READ else messages_delivered
    announce(actor_id, direct, groups, at)
