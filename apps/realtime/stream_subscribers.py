"""The subscribers of one stream in this process: each receives its numbers without a hole."""

import asyncio
from collections.abc import Awaitable, Mapping

import structlog

from apps.core.errors import Busy
from apps.core.metrics import Counter
from apps.realtime.background import spawn
from apps.realtime.event_lines import log_caught_up, log_delivered
from apps.realtime.event_log import Backlog, events_after, heads
from apps.realtime.frames import Frame
from apps.realtime.isolation import each
from apps.realtime.pages import Pages
from apps.realtime.resume_points import ResumePoint
from apps.realtime.server_frames import SocketFrame
from apps.realtime.socket_frames import Reset, Subscribed
from apps.realtime.sockets import Subscriber
from apps.realtime.threads import in_thread

log = structlog.get_logger(__name__)

DELIVERED = Counter("parley_frames_delivered_total", "Frames of streams, for each subscriber.")
HEALED = Counter(
    "parley_gaps_healed_total", "Times that a wake-up was missed and its events were read instead."
)
RESETS = Counter("parley_resets_total", "Times that a client was told to fetch everything again.")

# Head and epoch of streams, by their names.
Heads = Mapping[str, tuple[int, str]]


class StreamSubscribers:
    """All subscribers of the stream here are at `position`, except those that are catching up.

    A frame that is not the next one, because a wake-up was lost or overtaken, is not delivered:
    what is missing is read from the log, up to the highest head that this process learned of.
    """

    def __init__(self, name: str, pages: Pages) -> None:
        self.name = name
        self.position = 0
        self._pages = pages
        self._epoch = ""
        self._known_head = 0
        self._subscribers: set[Subscriber] = set()
        self._holders = 0
        self._versions: dict[str, int] = {}
        self._reading: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Return whether the stream has no subscriber here, and nobody who is to become one."""
        return not self._subscribers and not self._holders

    def begin(self, head: int, epoch: str) -> None:
        """Begin at the head."""
        self.position, self._epoch = head, epoch
        self.notice_head(self._known_head)

    def begin_after(self, asking: Awaitable[Heads]) -> None:
        """Begin at the head that is being asked for. All who subscribe await it, and its error."""
        self._reading = asyncio.create_task(self._begin_after(asking))

    def deliver(self, frame: Frame) -> None:
        """Deliver a signal, or the next event; read the log when the event is not the next one."""
        if frame.seq is None:
            self._deliver_signal(frame)
        elif frame.seq == self.position + 1 and self._reading is None:
            self._deliver_event(frame)
        else:
            self.notice_head(frame.seq)

    def notice_head(self, head: int) -> None:
        """Learn the head of the stream, and read what is missing up to it."""
        self._known_head = max(self._known_head, head)
        if self._known_head > self.position and self._reading is None:
            self._reading = spawn(self._read_missing())

    def compare(self, head: int, epoch: str, position_before: int) -> None:
        """Learn the head and epoch of the log, given the position before it was asked.

        Numbers only grow, except when the database was restored: the subscribers are reset then.
        """
        restored = head < position_before or bool(self._epoch and epoch != self._epoch)
        self._epoch = epoch
        if restored:
            self.position = self._known_head = head
            self._reset_all()
        self.notice_head(head)

    def hold(self) -> None:
        """Be not idle until release() is called."""
        self._holders += 1

    def release(self) -> None:
        """End what hold() began."""
        self._holders -= 1

    def has_reached(self, number: int) -> bool:
        """Return whether the position is known, and at least the number."""
        return self._reading is None and self.position >= number

    async def reach(self, number: int) -> None:
        """Wait until has_reached(); raise Busy if it does not get there. A user who may read only
        later events would otherwise receive earlier ones."""
        if self._reading is not None:
            await asyncio.shield(self._reading)
        if self.position < number:
            await self._refresh_head()
        if self.position < number:
            raise Busy

    def join(self, socket: Subscriber) -> None:
        """Subscribe the socket from the position on, without an answer."""
        self._add(socket, None)

    async def subscribe(self, socket: Subscriber, point: ResumePoint) -> None:
        """Answer `subscribed` or `reset`, send the socket its backlog, and subscribe it.

        Live frames are not delivered to a socket that is catching up: it reads them from the log
        as well, and joins the others when it has reached their position.
        """
        self.hold()
        try:
            await self.reach(0)
            if not self._epoch or (point.after or 0) > self.position:
                await self._refresh_head()
            await self.reach(point.readable_after)
            epoch, position = self._epoch, self.position
            backlog = Backlog([], complete=True)
            if point.after is not None:
                position = point.after
                backlog = await self._backlog_after(position)
            if point.misses_nothing(self.position, epoch, backlog):
                subscribed = Subscribed(
                    stream=self.name,
                    head=self.position,
                    epoch=self._epoch,
                    recovered=point.after is not None,
                )
                self._tell(socket, point, subscribed, point.request_id)
                await self._catch_up(socket, point, position, backlog)
            else:
                self._tell(socket, point, self._reset(), point.request_id)
            if epoch and epoch != self._epoch:
                self._tell(socket, point, self._reset())
            self._add(socket, point)
        finally:
            self.release()

    def unsubscribe(self, socket: Subscriber) -> None:
        """Remove the socket from the subscribers."""
        self._subscribers.discard(socket)

    def _goes_on(self, socket: Subscriber, point: ResumePoint | None) -> bool:
        """Return whether the socket is open, and its subscription from that point was neither
        revoked nor replaced. A user who was removed and added again has another point."""
        current = socket.catching_up.get(self.name) is point
        return current and not socket.closed and self.name not in socket.revoked

    def _add(self, socket: Subscriber, point: ResumePoint | None) -> None:
        if self._goes_on(socket, point):
            self._subscribers.add(socket)
            socket.streams.add(self.name)

    async def _refresh_head(self) -> None:
        """Read the head from the log, and wait until the position has reached it."""
        position_before = self.position
        head, epoch = (await in_thread(heads, [self.name]))[self.name]
        self.compare(head, epoch, position_before)
        if self._reading is not None:
            await asyncio.shield(self._reading)

    async def _catch_up(
        self, socket: Subscriber, point: ResumePoint, position: int, backlog: Backlog
    ) -> None:
        """Send the socket its backlog, page by page, until it has reached the position of the
        others."""
        start = sent = position
        while backlog.complete:
            for frame in backlog.frames:
                if self._goes_on(socket, point):
                    socket.deliver(frame)
                    await socket.drain()
                    sent = frame.seq or sent
                position = frame.seq or position
            if position >= self.position or not self._goes_on(socket, point):
                break
            backlog = await self._backlog_after(position)
        else:
            self._tell(socket, point, self._reset())
        if sent > start:
            log_caught_up(socket, self.name, start, sent)

    async def _backlog_after(self, position: int) -> Backlog:
        """Return the next page of the backlog of a socket at that position."""
        if position == self.position:
            return Backlog([], complete=True)
        return await self._pages.read(self.name, position, self.position)

    async def _begin_after(self, asking: Awaitable[Heads]) -> None:
        """Learn the position; the heads of frames that arrive meanwhile are noted.

        If that fails, it fails for all who subscribe: nobody is subscribed to a stream whose
        position is unknown.
        """
        head, epoch = (await asking)[self.name]
        self._reading = None
        self.begin(head, epoch)

    async def _read_missing(self) -> None:
        try:
            while self.position < self._known_head:
                backlog = await in_thread(events_after, self.name, self.position)
                if backlog.complete:
                    HEALED.add(1 if backlog.frames else 0)
                    for frame in backlog.frames:
                        self._deliver_event(frame)
                else:
                    # The log was pruned, or its numbers began again, while it was read.
                    last = backlog.frames[-1].seq if backlog.frames else None
                    self.position = last or self._known_head
                    self._reset_all()
        except Exception:
            log.warning("log not read", stream=self.name, exc_info=True)
        finally:
            # What could not be read is noticed again when the heads are compared with the log.
            self._known_head = self.position
            self._reading = None

    def _deliver_signal(self, frame: Frame) -> None:
        if frame.about:
            if frame.version < self._versions.get(frame.about, 0):
                return
            self._versions[frame.about] = frame.version
        self._deliver_to_all(frame)

    def _deliver_event(self, frame: Frame) -> None:
        self.position = frame.seq or self.position
        self._deliver_to_all(frame)
        log_delivered(frame, len(self._subscribers))

    def _deliver_to_all(self, frame: Frame) -> None:
        DELIVERED.add(len(self._subscribers))
        each("frame", tuple(self._subscribers), lambda socket: socket.deliver(frame))

    def _reset_all(self) -> None:
        RESETS.add(len(self._subscribers))
        frame = self._reset()
        each("frame", tuple(self._subscribers), lambda socket: socket.tell(frame))

    def _tell(
        self,
        socket: Subscriber,
        point: ResumePoint,
        frame: SocketFrame,
        request_id: str | None = None,
    ) -> None:
        if self._goes_on(socket, point):
            if isinstance(frame, Reset):
                RESETS.add()
            socket.tell(frame, request_id)

    def _reset(self) -> Reset:
        return Reset(stream=self.name, head=self.position, epoch=self._epoch)
