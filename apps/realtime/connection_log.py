"""What operators are shown of websockets: how many, and the timeline of each
(docs/decisions/0052-metrics.md).

A socket notes its steps in memory, on the event loop. A thread writes the timelines that have
changed every few seconds; while the database is away, no more than MOST_WAITING wait for it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.core.db.sql import insert
from apps.core.http.envelope import rfc3339
from apps.core.metrics import Counter, Level
from apps.core.write_behind import Bounds, WriteBehind
from apps.realtime.closing import CODES
from apps.realtime.models import SocketTimeline
from apps.realtime.server_frames import SocketFrame
from apps.realtime.socket_frames import Reset, Subscribed, Unsubscribed
from apps.realtime.sockets import PresenceEntry
from apps.realtime.wire import Wire

OPEN = Level("parley_websockets", "Websockets that are open.")
CONNECTS = Counter("parley_websocket_connects_total", "Websockets that were opened.")
CLOSES = Counter("parley_websocket_closes_total", "Websockets that ended, by code.", ("code",))

WRITE_SECONDS = 2.0
# How many timelines may wait to be written (about 20 MB), and how many one transaction writes.
MOST_WAITING = 10_000
BATCH = 200
# How many steps of a socket are kept, the last ones, and how many streams it shows.
MOST_STEPS = 50
MOST_STREAMS = 50
KEPT = timedelta(days=1)
PRUNED_AT_ONCE = 1_000
# Those of the protocol that clients send (RFC 6455, 7.4.1); they may send any other too.
_USUAL = {1000, 1001, 1005, 1006, *CODES}

_FIELDS = (
    *("id", "user", "address", "user_agent", "opened_at", "closed_at"),
    *("code", "steps", "sent", "written_at"),
)
_UPSERT = "ON CONFLICT (id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in ("closed_at", "code", "steps", "sent", "written_at")
)


class Timeline:
    """The steps of one socket. Lives on the event loop; row() may be called in a thread."""

    __slots__ = ("_closed_at", "_code", "_opened_at", "_sent", "_steps", "_wire", "entry")

    def __init__(self, entry: PresenceEntry, wire: Wire) -> None:
        self.entry = entry
        self._wire = wire
        self._opened_at = timezone.now()
        self._closed_at: datetime | None = None
        self._code: int | None = None
        self._steps: list[Mapping[str, Any]] = []
        self._sent: Mapping[str, int] = {}
        OPEN.add()
        CONNECTS.add()
        timelines.changed(self)

    def note(self, what: str, **details: Any) -> None:
        """Note a step."""
        steps = [*self._steps[1 - MOST_STEPS :], {"at": _now(), "what": what, **details}]
        # A new list, since a thread may be reading the former one.
        self._steps = steps
        timelines.changed(self)

    def told(self, frame: SocketFrame) -> None:
        """Note what the client is told of a subscription."""
        match frame:
            case Subscribed(stream=stream, head=head, recovered=True):
                self.note("resumed", stream=stream, head=head)
            case Subscribed(stream=stream, head=head):
                self.note("subscribed", stream=stream, head=head)
            case Reset(stream=stream, head=head):
                self.note("reset", stream=stream, head=head)
            case Unsubscribed(stream=stream):
                self.note("unsubscribed", stream=stream)

    def end(self, code: int | None, sent: Mapping[str, int]) -> None:
        """Note that the socket ended by a code, if there was one, and the last numbers that it was
        sent."""
        OPEN.add(-1)
        CLOSES.add(1, str(code) if code in _USUAL else "none" if code is None else "other")
        self._closed_at, self._code, self._sent = timezone.now(), code, some(sent)
        timelines.changed(self)

    def row(self, now: datetime) -> Sequence[Any]:
        """Return the values of _FIELDS."""
        return (
            UUID(self.entry.socket_id),
            self.entry.user_id,
            self._wire.address,
            self._wire.user_agent,
            self._opened_at,
            self._closed_at,
            self._code,
            self._steps,
            self._sent,
            now,
        )


class Timelines(WriteBehind[str, Timeline]):
    """The timelines of this process that are not written yet."""

    name = "timelines"

    def __init__(self) -> None:
        super().__init__()
        self._writing = False

    async def start(self) -> None:
        """Write timelines from now on, as a server does and a test does not."""
        self._writing = True

    @property
    def bounds(self) -> Bounds:
        """Return the bounds."""
        return Bounds(WRITE_SECONDS, MOST_WAITING, BATCH)

    def save(self, values: Sequence[Timeline]) -> None:
        """Write timelines."""
        timelines_save(values)

    def changed(self, timeline: Timeline) -> None:
        """Have a timeline written soon, if it is not one too many. It does not wait."""
        if self._writing:
            self.put(timeline.entry.socket_id, timeline)


timelines = Timelines()


@transaction.atomic
def timelines_save(changed: Sequence[Timeline]) -> None:
    """Write timelines. Those of users who were erased are skipped: they could never be written, and
    would block the others."""
    users = SocketTimeline._meta.get_field("user").related_model._default_manager
    existing = set(
        users.filter(pk__in={one.entry.user_id for one in changed}).values_list("pk", flat=True)
    )
    now = timezone.now()
    rows = [one.row(now) for one in changed if one.entry.user_id in existing]
    insert(SocketTimeline, _FIELDS, rows, _UPSERT)


def timelines_prune() -> int:
    """Delete the timelines whose last step is KEPT ago, and return how many there were."""
    old = SocketTimeline.objects.filter(written_at__lt=timezone.now() - KEPT)
    deleted = 0
    while part := list(old.order_by("written_at").values_list("pk", flat=True)[:PRUNED_AT_ONCE]):
        deleted += SocketTimeline.objects.filter(pk__in=part).delete()[0]
    return deleted


def some(streams: Mapping[str, int]) -> dict[str, int]:
    """Return the first of many streams, since a timeline has a bound."""
    return dict(list(streams.items())[:MOST_STREAMS])


def _now() -> str:
    return rfc3339(timezone.now())
