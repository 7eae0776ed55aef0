"""The one door by which events leave: publish() (docs/realtime.md)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Sum, Window
from django.utils import timezone

from apps.core.db.redaction import Overlay, redact_json
from apps.core.db.sql import insert
from apps.core.http.envelope import rfc3339
from apps.realtime.frames import Frame, render
from apps.realtime.models import LoggedEvent, Stream, new_epoch
from apps.realtime.server_frames import Event, Signal
from apps.realtime.wakeups import wake

PRUNED_AT_ONCE = 1_000
# Of a page of the log: the most events, and the bytes after which it takes no more of them. A
# socket that catches up and does not read keeps a page, and who wants another waits for this one.
PAGE_EVENTS = 100
PAGE_BYTES = 512 * 1024


@dataclass(frozen=True)
class Backlog:
    """What a follower missed: frames in order, or the word that the log no longer has them."""

    frames: list[Frame]
    complete: bool


def publish(*events: Event) -> None:
    """Number the events, log them, and wake their subscribers once the transaction is committed.

    Must run inside the transaction that makes the change that is announced, and last in it: the
    rows of the streams stay locked until the commit. They are locked in the order of their names,
    so that two transactions never wait for each other. All events of a change go in one call, which
    takes two statements for however many there are.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("publish() belongs inside the transaction of the change it announces.")
    addressed = [(event, event.streams()) for event in events]
    counts = Counter(name for _, names in addressed for name in names)
    if not counts:
        return
    now = timezone.now()
    at = rfc3339(now)
    last = {name: head - counts[name] for name, head in _advance(counts).items()}
    rows, frames = [], []
    for event, names in addressed:
        data = event.data()
        for name in names:
            seq = last[name] = last[name] + 1
            text = _text(name, seq, event.type, data, at)
            size = len(text.encode())
            rows.append((name, seq, event.type, data, size, event.subject, now))
            frames.append(Frame(name, seq, text))
    insert(LoggedEvent, ("stream", "seq", "type", "data", "size", "subject", "created_at"), rows)
    # A wake-up that fails is healed by the log; it must not fail a request that has succeeded.
    transaction.on_commit(partial(wake, frames=frames), robust=True)


def signal(one: Signal) -> None:
    """Tell those who are subscribed to the signal's streams now. It is not logged and may be
    lost."""
    text = render(one.type, one.data())
    wake(frames=[Frame(name, None, text, one.about, one.version) for name in one.streams()])


def events_after(stream: str, after: int, up_to: int | None = None) -> Backlog:
    """Return a page of a stream's logged events behind a number, oldest first: PAGE_EVENTS at most,
    and none once PAGE_BYTES are reached.

    `complete` is false when one of them is missing: the log does not go back that far, or has a
    hole.
    """
    last = after + PAGE_EVENTS if up_to is None else min(up_to, after + PAGE_EVENTS)
    before = Window(Sum("size"), order_by="seq") - F("size")
    page = LoggedEvent.objects.filter(stream=stream, seq__gt=after, seq__lte=last).annotate(
        before=before
    )
    found = list(
        page.filter(before__lt=PAGE_BYTES)
        .order_by("seq")
        .values_list("seq", "type", "data", "created_at")
    )
    # Numbers are unique: as many as there are from the first to the last are all of them.
    whole = found[-1][0] == after + len(found) if found else after == up_to
    frames = [
        Frame(stream, seq, _text(stream, seq, kind, data, rfc3339(at)))
        for seq, kind, data, at in found
    ]
    return Backlog(frames, complete=whole)


def heads(streams: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Return head and epoch of each stream; one without any event yet has head 0."""
    names = list(streams)
    rows = Stream.objects.filter(name__in=names).values_list("name", "head", "epoch")
    return dict.fromkeys(names, (0, "")) | {name: (head, epoch) for name, head, epoch in rows}


def redact(subjects: Iterable[UUID], overlay: Overlay) -> None:
    """Overwrite parts of the logged payloads that tell of something that was deleted."""
    redact_json(LoggedEvent.objects.filter(subject__in=list(subjects)), "data", overlay)


def events_prune() -> int:
    """Delete the events that are older than the retention and return how many there were.

    A stream is cut at a number, below the first event that is kept: times are not in the order of
    the numbers, since several clocks give them, and a hole would be a loss that nobody notices.
    """
    limit = timezone.now() - settings.EVENT_RETENTION
    old = (
        LoggedEvent.objects.filter(created_at__lt=limit).order_by().values_list("stream", flat=True)
    )
    return sum(_prune_stream(stream, limit) for stream in list(old.distinct()))


def _prune_stream(stream: str, limit: datetime) -> int:
    events = LoggedEvent.objects.filter(stream=stream)
    kept = events.filter(created_at__gte=limit).order_by("seq").first()
    if kept is not None:
        events = events.filter(seq__lt=kept.seq)
    deleted = 0
    # In parts from the oldest on, so that no statement is long and one that fails leaves no hole.
    while part := list(events.order_by("seq").values_list("seq", flat=True)[:PRUNED_AT_ONCE]):
        deleted += events.filter(seq__lte=part[-1]).delete()[0]
    return deleted


def epochs_renew() -> int:
    """Begin a new life of every stream, after the database was restored, and return how many.

    A restored log gives its numbers a second time. Clients that have seen those of its former life
    would take the new events for known ones; by the epoch they are told to start anew.
    """
    return Stream.objects.update(epoch=new_epoch())


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


def _text(stream: str, seq: int, kind: str, data: Mapping[str, Any], at: str) -> str:
    return render(kind, data, {"stream": stream, "seq": seq}, at=at)
