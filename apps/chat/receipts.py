"""What receivers say of their messages: that a device has them, and that they were read.

However many messages are meant, the work goes in parts: each is a transaction of its own that ends
with its own event. So no event is too large for a client, nobody waits long for a lock, and what a
process that dies leaves undone is done by the next call (docs/decisions/0016-receipts-in-parts.md).

Lock order: a person's delivery cursor, messages by id, then the streams by name.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from apps.chat import events
from apps.chat.errors import ConversationNotFound
from apps.chat.models import DeliveryCursor, Membership, Message
from apps.chat.serializers import MOST_IDS
from apps.core.db.sql import insert
from apps.realtime.models import LoggedEvent
from apps.realtime.streams import USER

# A part is as large as what may be named at once, which makes an event of 20 kB.
PART = MOST_IDS
# Unread messages are looked up for so many parts at a time.
PARTS_PER_LOOK = 20
# Seconds after which a call begins no further part: the threads are few, and others wait for one.
LONGEST = 1.0

Part = Callable[[], int]


@dataclass(frozen=True)
class Marked:
    """How many messages changed. If some are `remaining`, the same call goes on with those."""

    updated: int
    remaining: bool = False

    def as_dict(self) -> Mapping[str, Any]:
        """Return it as it is sent."""
        return {"updated": self.updated} | ({"remaining": True} if self.remaining else {})


def messages_mark_read(
    *,
    reader_id: UUID,
    message_ids: Sequence[UUID] | None = None,
    conversation_id: UUID | None = None,
    up_to: int | None = None,
    sender_id: UUID | None = None,
) -> Marked:
    """Mark messages to the reader as read and return how many really changed.

    They are named by id, of which others' are passed over, or as those of a conversation up to a
    number (raises ConversationNotFound); `sender_id` narrows them down.
    """
    unread = Message.objects.filter(receiver=reader_id, read_at=None)
    if sender_id is not None:
        unread = unread.filter(sender=sender_id)
    if conversation_id is not None:
        if not Membership.objects.filter(conversation=conversation_id, user=reader_id).exists():
            raise ConversationNotFound
        unread = unread.filter(conversation=conversation_id)
    if message_ids is not None:
        return _in_parts(_parts_of(message_ids, partial(_mark_read, unread)))
    return _in_parts(_unread_parts(unread.filter(seq__lte=up_to)))


def messages_mark_delivered(
    *, receiver_id: UUID, message_ids: Sequence[UUID] | None = None, seq: int | None = None
) -> Marked:
    """Note that a device of the receiver has messages and return how many that is news of.

    They are named by id, or as those that the receiver's stream told of up to the event `seq`.
    """
    if message_ids is not None:
        return _in_parts(_parts_of(message_ids, partial(_mark_delivered, receiver_id)))
    return _in_parts(_told_parts(receiver_id, seq or 0))


def _in_parts(parts: Iterable[Part]) -> Marked:
    """Do one part after the other, the first of them in any case."""
    updated = 0
    late = time.monotonic() + LONGEST
    for number, part in enumerate(parts):
        if number and time.monotonic() > late:
            return Marked(updated, remaining=True)
        with transaction.atomic():
            updated += part()
    return Marked(updated)


def _parts_of(ids: Sequence[UUID], mark: Callable[[Sequence[UUID]], int]) -> Iterator[Part]:
    for start in range(0, len(ids), PART):
        yield partial(mark, ids[start : start + PART])


def _unread_parts(unread: QuerySet[Message]) -> Iterator[Part]:
    # The sum keeps the database from walking along the index of numbers, past all that was read
    # long ago, when it can have the unread ones from an index of their own and sort those.
    ids = unread.filter(deleted_at=None).order_by(F("seq") + 0).values_list("pk", flat=True)
    at_once = PARTS_PER_LOOK * PART
    # Whose they are is known then; asked again, it would lead the database to that index again.
    mark = partial(_mark_read, Message.objects.filter(read_at=None))
    while found := list(ids[:at_once]):
        yield from _parts_of(found, mark)
        if len(found) < at_once:
            return


def _told_parts(receiver_id: UUID, seq: int) -> Iterator[Part]:
    """Go along the receiver's stream from where the last call got to.

    The number may be one that the stream has not reached: what it will tell of under such a number
    is not delivered yet, so the cursor moves to events that there are.
    """
    stream = USER.name(receiver_id)
    cursor = DeliveryCursor.objects.filter(user=receiver_id).first()
    told = LoggedEvent.objects.filter(stream=stream, seq__lte=seq).order_by("seq")
    after = cursor.seq if cursor else 0
    while found := list(told.filter(seq__gt=after).values_list("seq", "type", "subject")[:PART]):
        after = found[-1][0]
        ids = [
            subject for _, kind, subject in found if kind == events.MessageReceived.type and subject
        ]
        yield partial(_mark_told, receiver_id, ids, after)
        if len(found) < PART:
            return


def _mark_told(receiver_id: UUID, ids: Sequence[UUID], seq: int) -> int:
    insert(
        DeliveryCursor,
        ("user", "seq"),
        [(receiver_id, seq)],
        # Another device may have got further meanwhile.
        "ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq WHERE {table}.seq < excluded.seq",
    )
    return _mark_delivered(receiver_id, ids)


def _mark_read(unread: QuerySet[Message], ids: Sequence[UUID]) -> int:
    messages = _locked(unread, ids)
    now = timezone.now()
    Message.objects.filter(pk__in=[one.pk for one in messages]).update(
        status=Message.Status.READ, read_at=now
    )
    events.messages_read(messages, now)
    return len(messages)


def _mark_delivered(receiver_id: UUID, ids: Sequence[UUID]) -> int:
    sent = Message.objects.filter(receiver=receiver_id, status=Message.Status.SENT)
    messages = _locked(sent, ids)
    Message.objects.filter(pk__in=[one.pk for one in messages]).update(
        status=Message.Status.DELIVERED
    )
    events.messages_delivered(messages, timezone.now())
    return len(messages)


def _locked(messages: QuerySet[Message], ids: Sequence[UUID]) -> list[Message]:
    found = messages.filter(pk__in=ids, deleted_at=None).order_by("pk").select_for_update()
    return list(found.only("sender", "receiver"))
