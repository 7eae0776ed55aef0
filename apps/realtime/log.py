"""The one door by which events leave: publish() (docs/realtime.md)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.core.sql import insert
from apps.realtime.frames import Frame, render
from apps.realtime.models import Event, Stream, new_epoch
from apps.realtime.wakeups import wake


@dataclass(frozen=True)
class Announcement:
    """An event on its way to one stream. `subject` is the id of what it tells of."""

    stream: str
    type: str
    data: Mapping[str, Any]
    subject: UUID | None = None


@dataclass(frozen=True)
class Missed:
    """What a follower missed: frames in order, or the word that the log no longer has them."""

    frames: list[Frame]
    complete: bool


def publish(announcements: Sequence[Announcement]) -> None:
    """Number the events, log them, and wake their followers once the transaction is committed.

    Must run inside the transaction that makes the change that is announced, and last in it: the
    rows of the streams stay locked until the commit. They are locked in the order of their names,
    so that two transactions never wait for each other.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("publish() belongs inside the transaction of the change it announces.")
    if not announcements:
        return
    now = timezone.now()
    counts = Counter(announcement.stream for announcement in announcements)
    last = {name: head - counts[name] for name, head in _advance(counts).items()}
    rows, frames = [], []
    for one in announcements:
        last[one.stream] += 1
        seq = last[one.stream]
        rows.append((one.stream, seq, one.type, one.data, one.subject, now))
        frames.append(_frame(one.stream, seq, one.type, one.data, now))
    insert(Event, ("stream", "seq", "type", "data", "subject", "created_at"), rows)
    # A wake-up that fails is healed by the log; it must not fail a request that has succeeded.
    transaction.on_commit(partial(wake, frames=frames), robust=True)


def signal(streams: Iterable[str], kind: str, data: Mapping[str, Any]) -> None:
    """Tell those who follow the streams now. It is not logged and may be lost."""
    text = render(kind, data)
    wake(frames=[Frame(stream, None, text) for stream in streams])


def events_after(stream: str, after: int, up_to: int | None = None, limit: int = 500) -> Missed:
    """Return the logged events of a stream behind a number, oldest first.

    `complete` is false when the log does not go back that far.
    """
    events = Event.objects.filter(stream=stream, seq__gt=after)
    if up_to is not None:
        events = events.filter(seq__lte=up_to)
    found = list(events.order_by("seq")[:limit])
    whole = after == up_to if not found else found[0].seq == after + 1
    frames = [_frame(stream, one.seq, one.type, one.data, one.created_at) for one in found]
    return Missed(frames, complete=whole)


def heads(streams: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Return head and epoch of each stream; one without any event yet has head 0."""
    names = list(streams)
    rows = Stream.objects.filter(name__in=names).values_list("name", "head", "epoch")
    return dict.fromkeys(names, (0, "")) | {name: (head, epoch) for name, head, epoch in rows}


def redact(subjects: Iterable[UUID], overlay: Mapping[str, Mapping[str, Any]]) -> None:
    """Overwrite parts of the logged payloads that tell of something that was deleted.

    Each object of an event's data that `overlay` names has the given keys replaced.
    """
    events = Event.objects.filter(subject__in=list(subjects)).order_by("pk").select_for_update()
    redacted = []
    for event in events:
        for name in overlay.keys() & event.data.keys():
            event.data[name] |= overlay[name]
            redacted.append(event)
    Event.objects.bulk_update(redacted, ["data"])


def events_prune() -> int:
    """Delete the events that are older than the retention and return how many there were."""
    limit = timezone.now() - settings.EVENT_RETENTION
    return Event.objects.filter(created_at__lt=limit).delete()[0]


def _advance(counts: Counter[str]) -> dict[str, int]:
    """Move the heads on, locking the rows in the order of the names, and return the new ones."""
    return dict(
        insert(
            Stream,
            ("name", "head", "epoch"),
            [(name, counts[name], new_epoch()) for name in sorted(counts)],
            "ON CONFLICT (name) DO UPDATE SET head = {table}.head + excluded.head "
            "RETURNING name, head",
        )
    )


def _frame(stream: str, seq: int, kind: str, data: Mapping[str, Any], at: datetime) -> Frame:
    return Frame(stream, seq, render(kind, data, {"stream": stream, "seq": seq}, at=at))
