"""The log of events. Every event leaves by publish(), and every signal by signal()."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import BigIntegerField, CharField
from django.utils import timezone

from apps.core.db.prepared import OneOf, Prepared
from apps.core.db.redaction import Overlay, redact_json
from apps.core.db.sql import insert, query_given
from apps.core.http.envelope import rfc3339
from apps.realtime.event_lines import log_published
from apps.realtime.frames import Frame, render
from apps.realtime.models import LoggedEvent, Stream, new_epoch
from apps.realtime.server_frames import Event, RoomSignal, Signal
from apps.realtime.wakeups import wake

PRUNED_AT_ONCE = 1_000
# A page of the log has at most so many events, and no more once it has so many bytes: a socket that
# catches up and does not read keeps a page in memory, and the others wait while one is read.
PAGE_EVENTS = 100
PAGE_BYTES = 512 * 1024


_HEADS = Prepared(
    lambda: Stream.objects.filter(OneOf("name", "names", CharField())).values_list(
        "name", "head", "epoch"
    )
)


_EVENTS = Prepared(
    lambda: (
        LoggedEvent.objects.order_by()
        .filter(OneOf("pk", "ids", BigIntegerField()))
        .values_list("pk", "seq", "type", "data", "created_at", "subject")
    )
)
_PAGE_IDS = """
    SELECT given.id, event.id, event.seq,
        sum(event.size) OVER (ORDER BY given.id, event.seq) - event.size
    FROM given JOIN {table} event ON event.stream = given.stream
        AND event.seq > given.seq AND event.seq <= given.seq + {most}
    ORDER BY given.id, event.seq
"""
# A page: its stream, the number before its first event, and the number that it goes to at most.
PageKey = tuple[str, int, int]


@dataclass(frozen=True)
class Backlog:
    """Events that a subscriber missed, as frames in order. It is not complete when the log does not
    have all of them."""

    frames: list[Frame]
    complete: bool


def publish(*events: Event) -> None:
    """Number the events, log them, and send them to their subscribers once the transaction is
    committed.

    Must run inside the transaction of the change that the events announce, and last in it: the rows
    of the streams stay locked until the commit. They are locked in the order of their names, so
    that two transactions never wait for each other. All events of a change go in one call, which
    takes two statements however many there are.
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
        about = _about(event.subject)
        for name in names:
            seq = last[name] = last[name] + 1
            text = _text(name, seq, event.type, data, at)
            size = len(text.encode())
            rows.append((name, seq, event.type, data, size, event.subject, now))
            frames.append(Frame(name, seq, text, about))
    insert(LoggedEvent, ("stream", "seq", "type", "data", "size", "subject", "created_at"), rows)
    # The log makes up for a wake-up that fails; the request has succeeded, and must not fail by it.
    transaction.on_commit(partial(_announce, frames), robust=True)


def _announce(frames: Sequence[Frame]) -> None:
    wake(frames=frames)
    log_published(frames)


def signal(*signals: Signal | RoomSignal) -> None:
    """Send the signals to the present subscribers of their streams. They are not logged and may be
    lost."""
    frames = []
    for one in signals:
        text = render(one.type, one.data())
        frames += [Frame(name, None, text, one.about, one.version) for name in one.streams()]
    if frames:
        wake(frames=frames)


def events_after(stream: str, after: int, up_to: int | None = None) -> Backlog:
    """Return a page of a stream's logged events after a number, oldest first: at most PAGE_EVENTS,
    and no more once PAGE_BYTES are reached.

    It is not complete when an event is missing: the log does not go back that far, or has a hole.
    """
    [page] = pages_after([(stream, after, after + PAGE_EVENTS if up_to is None else up_to)])
    assert page is not None
    return page


def pages_after(asked: Sequence[PageKey]) -> list[Backlog | None]:
    """Return for each key what events_after() returns, with the statements of one. Once the pages
    have PAGE_BYTES together the rest of them is None; the first one never is."""
    ids, end = _page_ids(asked)
    rows = _EVENTS.all(ids=[id_ for of_page in ids.values() for id_ in of_page]) if ids else []
    events = {id_: event for id_, *event in rows}
    return [
        _page(key, [events[id_] for id_ in ids[number] if id_ in events]) if number < end else None
        for number, key in enumerate(asked)
    ]


def _page(key: PageKey, events: Sequence[Sequence[Any]]) -> Backlog:
    stream, after, up_to = key
    # Numbers are unique, so there is no hole if their count is the distance.
    whole = events[-1][0] == after + len(events) if events else after == up_to
    frames = [
        Frame(stream, seq, _text(stream, seq, kind, data, rfc3339(at)), _about(subject))
        for seq, kind, data, at, subject in events
    ]
    return Backlog(frames, complete=whole)


def _page_ids(asked: Sequence[PageKey]) -> tuple[Mapping[int, list[int]], int]:
    """Return the ids of the events of each page, by the page's place among those asked for, and the
    place of the first page that has no room any more."""
    ids: defaultdict[int, list[int]] = defaultdict(list)
    # The id of a given row is the place of its page.
    given = [(place, stream, after) for place, (stream, after, _) in enumerate(asked)]
    statement = _PAGE_IDS.format(table="{table}", most=PAGE_EVENTS)
    for place, id_, seq, before in query_given(
        LoggedEvent, ("id", "stream", "seq"), given, statement
    ):
        if before >= PAGE_BYTES:
            return ids, place + 1 if place in ids else place
        if seq <= asked[place][2]:
            ids[place].append(id_)
    return ids, len(asked)


def heads(streams: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Return head and epoch of each stream. A stream without events has head 0 and no epoch."""
    names = list(streams)
    rows = _HEADS.all(names=names) if names else []
    return dict.fromkeys(names, (0, "")) | {name: (head, epoch) for name, head, epoch in rows}


def redact(overlays: Mapping[UUID, Overlay]) -> None:
    """Overwrite parts of the logged payloads that are about these subjects, which were deleted or
    have changed."""
    redact_json(LoggedEvent, "data", overlays)


@transaction.atomic
def events_remove(ids: Collection[int]) -> int:
    """Remove events that nobody may read any more and return how many there were.

    Their streams begin new epochs: a hole in the numbers would look like a lost event, and clients
    that have seen the events fetch again what these were about.
    """
    events = LoggedEvent.objects.filter(pk__in=ids)
    names = sorted(set(events.order_by().values_list("stream", flat=True)))
    # The lock of publish(), in its order.
    list(Stream.objects.filter(name__in=names).order_by("name").select_for_update())
    Stream.objects.filter(name__in=names).update(epoch=new_epoch())
    return events.delete()[0]


def events_prune() -> int:
    """Delete the events that are older than the retention and return how many there were.

    All events below the first one that is kept are deleted. Times are not in the order of the
    numbers, since they come from several clocks, and to delete by time could leave a hole.
    """
    limit = timezone.now() - settings.EVENT_RETENTION
    old = LoggedEvent.objects.filter(created_at__lt=limit).order_by("created_at")
    times = old.values_list("created_at", flat=True)
    deleted, since = 0, datetime.fromtimestamp(0, UTC)
    # The oldest are deleted first and in parts, so that no statement is long and writers have their
    # turn between two of them.
    while last := list(times.filter(created_at__gt=since)[PRUNED_AT_ONCE - 1 : PRUNED_AT_ONCE]):
        deleted += _prune_part(since, last[0], limit)
        since = last[0]
    return deleted + _prune_part(since, limit, limit)


def _prune_part(since: datetime, until: datetime, limit: datetime) -> int:
    """Delete the events after `since` and up to `until` that are older than the limit, with those
    before them in their streams, and return how many there were. An event that comes after a kept
    one of its stream is kept as well."""
    at = [connection.ops.adapt_datetimefield_value(one) for one in (since, until, limit, limit)]
    with connection.cursor() as cursor:
        cursor.execute(_PRUNE_PART, at)
        return int(cursor.rowcount)


_PRUNE_PART = """
    DELETE FROM realtime_event WHERE id IN (
        WITH part AS (
            SELECT stream, max(seq) AS last FROM realtime_event
            WHERE created_at > %s AND created_at <= %s AND created_at < %s
            GROUP BY stream
        ), up_to AS (
            SELECT stream, coalesce(
                (
                    SELECT min(seq) - 1 FROM realtime_event AS kept
                    WHERE kept.stream = part.stream AND seq <= last AND created_at >= %s
                ),
                last
            ) AS last FROM part
        )
        SELECT id FROM up_to JOIN realtime_event AS event
        ON event.stream = up_to.stream AND event.seq <= up_to.last
    )
"""


def epochs_renew() -> int:
    """Begin a new epoch of every stream, after the database was restored, and return how many.

    A restored log assigns its numbers a second time. Clients that have seen those of the former
    epoch would take the new events for known ones; by the new epoch they know that they must fetch
    everything again.
    """
    return Stream.objects.update(epoch=new_epoch())


def _advance(counts: Counter[str]) -> dict[str, int]:
    """Increase the heads, locking the rows in the order of the names, and return the new heads."""
    epoch = new_epoch()
    return dict(
        insert(
            Stream,
            ("name", "head", "epoch"),
            [(name, counts[name], epoch) for name in sorted(counts)],
            "ON CONFLICT (name) DO UPDATE SET head = {table}.head + excluded.head "
            "RETURNING name, head",
        )
    )


def _about(subject: UUID | None) -> str:
    return "" if subject is None else str(subject)


def _text(stream: str, seq: int, kind: str, data: Mapping[str, Any], at: str) -> str:
    return render(kind, data, {"stream": stream, "seq": seq}, at=at)
