"""A stream as one process follows it: its numbers reach the sockets here without a hole."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from apps.core.errors import Busy
from apps.realtime.event_log import Backlog, events_after, heads
from apps.realtime.frames import Frame
from apps.realtime.isolation import each
from apps.realtime.pages import Pages
from apps.realtime.socket_frames import Reset, Subscribed
from apps.realtime.sockets import Socket
from apps.realtime.threads import in_thread

log = structlog.get_logger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
# Head and epoch of streams, by their names.
Heads = Mapping[str, tuple[int, str]]


@dataclass(frozen=True)
class ResumePoint:
    """From where a socket follows a stream: after which event, of which life of the log, and what
    stands beside the answer. Events up to `readable_after` are not for its user."""

    after: int | None
    epoch: str = ""
    echo: Mapping[str, str] = field(default_factory=dict)
    readable_after: int = 0


class StreamSubscribers:
    """All that follow a stream here stand at `position`, except those that are catching up.

    A frame that is not the next one, because a wake-up was lost or overtaken, is not handed out:
    the log is read for what is missing, up to the last number that was heard of.
    """

    def __init__(self, name: str, spawn: Spawn, pages: Pages, place: Awaitable[Heads]) -> None:
        self.name = name
        self.position = 0
        self._spawn = spawn
        self._pages = pages
        self._epoch = ""
        self._known_head = 0
        self._subscribers: set[Socket] = set()
        self._catching_up = 0
        self._versions: dict[str, int] = {}
        self._reading: asyncio.Task[None] | None = spawn(self._start(place))

    @property
    def idle(self) -> bool:
        """Return whether nobody needs the feed any more."""
        return not self._subscribers and not self._catching_up

    def take(self, frame: Frame) -> None:
        """Hand out the next frame, or a signal; read the log when it is not the next one."""
        if frame.seq is None:
            self._deliver_signal(frame)
        elif frame.seq == self.position + 1 and self._reading is None:
            self._deliver(frame)
        else:
            self.notice_head(frame.seq)

    def notice_head(self, head: int) -> None:
        """Learn how far the stream has got, and read what is missing of it."""
        self._known_head = max(self._known_head, head)
        if self._known_head > self.position and self._reading is None:
            self._reading = self._spawn(self._read_missing())

    def compare(self, head: int, epoch: str, stood_at: int) -> None:
        """Learn what the log says of the stream, given the position before it was asked.

        Numbers only grow, except when the database was restored: the followers are told to begin
        anew then.
        """
        if head < stood_at or (self._epoch and epoch != self._epoch):
            self.position = self._known_head = head
            self._push(Reset(**{**self._place(), "epoch": epoch}).render())
        self._epoch = epoch
        self.notice_head(head)

    async def subscribe_silently(self, socket: Socket, readable_after: int) -> None:
        """Have the socket follow from where the stream stands, without a word."""
        await self._standing()
        try:
            await self._reach(readable_after)
            self._add(socket)
        finally:
            self._catching_up -= 1

    async def subscribe(self, socket: Socket, point: ResumePoint) -> None:
        """Answer `subscribed` or `reset`, send the socket what it missed after a number, and have
        it follow.

        While it catches up, live frames pass it by: it reads them from the log as well, and joins
        the others when it stands where they stand.
        """
        await self._standing()
        try:
            if not self._epoch or (point.after or 0) > self.position:
                await self._look_at_head()
            await self._reach(point.readable_after)
            life, position = self._epoch, self.position
            backlog = Backlog([], complete=True)
            if point.after is not None:
                position = point.after
                backlog = await self._backlog_after(position)
            readable = backlog.complete and position >= point.readable_after
            if readable and point.epoch in {"", life} and position <= self.position:
                subscribed = Subscribed(**self._place(), recovered=point.after is not None)
                self._answer(socket, subscribed.render(point.echo))
                await self._catch_up(socket, position, backlog)
            else:
                self._answer(socket, Reset(**self._place()).render(point.echo))
            if life and life != self._epoch:
                self._answer(socket, Reset(**self._place()).render())
            self._add(socket)
        finally:
            self._catching_up -= 1

    def _may_read(self, socket: Socket) -> bool:
        """Return whether the socket is still there, and its user may still read the stream."""
        return not socket.closed and self.name not in socket.revoked

    def _add(self, socket: Socket) -> None:
        if self._may_read(socket):
            self._subscribers.add(socket)
            socket.streams.add(self.name)

    def _answer(self, socket: Socket, content: str) -> None:
        if self._may_read(socket):
            socket.push(content)

    async def _reach(self, number: int) -> None:
        """Read on to a number, unless the stream stands behind it already; raise Busy if that
        fails. Who may read only what comes after it would otherwise get what comes before."""
        if self.position < number:
            await self._look_at_head()
        if self.position < number:
            raise Busy

    async def _catch_up(self, socket: Socket, position: int, backlog: Backlog) -> None:
        """Send the socket what it missed, page by page, until it stands where the feed stands."""
        while backlog.complete:
            for frame in backlog.frames:
                if self._may_read(socket):
                    await socket.pushed(frame.content)
                position = frame.seq or position
            if position >= self.position or not self._may_read(socket):
                return
            backlog = await self._backlog_after(position)
        self._answer(socket, Reset(**self._place()).render())

    async def _backlog_after(self, position: int) -> Backlog:
        """Return the next page of what a socket missed that stands there."""
        if position == self.position:
            return Backlog([], complete=True)
        return await self._pages.read(self.name, position, self.position)

    def unsubscribe(self, socket: Socket) -> None:
        """Let the socket go."""
        self._subscribers.discard(socket)

    async def _standing(self) -> None:
        """Wait until it is known where the stream stands. The caller counts as catching up."""
        self._catching_up += 1
        try:
            if self._reading is not None:
                await asyncio.shield(self._reading)
        except BaseException:
            self._catching_up -= 1
            raise

    async def _look_at_head(self) -> None:
        """Ask the log how far the stream has got, and wait until this process has got there."""
        stood_at = self.position
        head, epoch = (await in_thread(heads, [self.name]))[self.name]
        self.compare(head, epoch, stood_at)
        if self._reading is not None:
            await asyncio.shield(self._reading)

    async def _start(self, place: Awaitable[Heads]) -> None:
        """Learn where the stream stands; frames that arrive meanwhile are heard of.

        If that fails, so does everybody who waits for it: a feed that does not know where it
        stands is never followed.
        """
        self.position, self._epoch = (await place)[self.name]
        self._reading = None
        self.notice_head(self._known_head)

    async def _read_missing(self) -> None:
        try:
            while self.position < self._known_head:
                backlog = await in_thread(events_after, self.name, self.position)
                if backlog.complete:
                    for frame in backlog.frames:
                        self._deliver(frame)
                else:
                    # The log was pruned, or began anew, under our feet.
                    last = backlog.frames[-1].seq if backlog.frames else None
                    self.position = last or self._known_head
                    self._push(Reset(**self._place()).render())
        except Exception:
            log.warning("log not read", stream=self.name, exc_info=True)
        finally:
            # What could not be read now, the next look at the heads hears of again.
            self._known_head = self.position
            self._reading = None

    def _deliver_signal(self, frame: Frame) -> None:
        if frame.about:
            if frame.version < self._versions.get(frame.about, 0):
                return
            self._versions[frame.about] = frame.version
        self._push(frame.content)

    def _deliver(self, frame: Frame) -> None:
        self.position = frame.seq or self.position
        self._push(frame.content)

    def _push(self, content: str | bytes) -> None:
        each("push", tuple(self._subscribers), lambda socket: socket.push(content))

    def _place(self) -> Mapping[str, Any]:
        return {"stream": self.name, "head": self.position, "epoch": self._epoch}
