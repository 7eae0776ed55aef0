"""Reads of streams, by the rules that sockets subscribe by."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from apps.core.errors import Unauthorized
from apps.realtime.errors import StreamNotFound
from apps.realtime.event_log import PAGE_EVENTS, Backlog, heads, pages_after
from apps.realtime.event_pages import EventPage
from apps.realtime.registry import socket_authenticator
from apps.realtime.resume_points import ResumePoint
from apps.realtime.sockets import Identity
from apps.realtime.streams import readers_of

NOTHING = Backlog([], complete=True)


def events_missed(reader: Identity, points: Mapping[str, ResumePoint]) -> EventPage:
    """Return what the reader has missed of streams, by name, after the points where they continue.
    Raise StreamNotFound, or Unauthorized if the session ended meanwhile."""
    readable = {name: _readable_after(name, reader.user_id) for name in points}
    page, known = EventPage(of_several=len(points) > 1), heads(points)
    backlogs = _backlogs(points, known)
    for name, point in points.items():
        backlog = backlogs.get(name, NOTHING)
        if page.full or backlog is None:
            break
        _add(page, name, replace(point, readable_after=readable[name]), *known[name], backlog)
    [refusal] = reader_refusals([(reader, page)])
    if refusal is not None:
        raise refusal
    return page


def reader_refusals(
    asked: Sequence[tuple[Identity, EventPage]],
) -> list[Unauthorized | StreamNotFound | None]:
    """Return for each reader why they may not read what their page has, None if they may: their
    session must be active, and the streams readable.

    This is asked after the events were read, so that each of them happened while the reader might
    read it. A control that revokes that may be late, or lost.
    """
    news = [(reader, page) for reader, page in asked if page.has_news]
    users: defaultdict[str, set[UUID]] = defaultdict(set)
    for reader, page in news:
        for name in page.streams:
            users[name].add(reader.user_id)
    active = socket_authenticator().active_sessions([reader.session_id for reader, _ in news])
    readers = {name: readers_of(name, some) for name, some in users.items()}

    def refusal(reader: Identity, page: EventPage) -> Unauthorized | StreamNotFound | None:
        if not page.has_news:
            return None
        if reader.session_id not in active:
            return Unauthorized()
        for stream in page.streams.values():
            after = readers[stream.name].get(reader.user_id)
            # A reader who was removed and added again may not read what happened meanwhile.
            if after is None or any((frame.seq or 0) <= after for frame in stream.events[:1]):
                return StreamNotFound()
        return None

    return [refusal(reader, page) for reader, page in asked]


def _readable_after(name: str, user_id: UUID) -> int:
    """Return the number after which the user may read the stream; raise StreamNotFound."""
    after = readers_of(name, [user_id]).get(user_id)
    if after is None:
        raise StreamNotFound
    return after


def _backlogs(
    points: Mapping[str, ResumePoint], known: Mapping[str, tuple[int, str]]
) -> dict[str, Backlog | None]:
    """Return a page of each stream that has events after its point, read together; None for those
    that there is no room for."""
    asked = [
        (name, point.after, min(known[name][0], point.after + PAGE_EVENTS))
        for name, point in points.items()
        if point.after is not None and point.after < known[name][0]
    ]
    pages = pages_after(asked) if asked else []
    return {key[0]: page for key, page in zip(asked, pages, strict=True)}


def _add(
    page: EventPage, name: str, point: ResumePoint, head: int, epoch: str, backlog: Backlog
) -> None:
    whole = point.misses_nothing(head, epoch, backlog)
    page.begin(name, head, epoch, recovered=whole and point.after is not None)
    for frame in backlog.frames if whole else ():
        page.add(frame)
