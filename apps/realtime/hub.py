"""One hub per process: it hears every wake-up once and knows which socket follows what.

Every few seconds it compares its streams' heads with the log's, so that a lost last event heals
too; and with every heartbeat it looks whether the sessions of its sockets are still good, so that
a lost word of their end does.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Coroutine, Iterable
from typing import Any
from uuid import UUID, uuid4

import structlog

from apps.realtime.closing import SESSION_REVOKED
from apps.realtime.feed import Feed
from apps.realtime.frames import Frame, render
from apps.realtime.log import heads
from apps.realtime.presence import announce_offline, presence
from apps.realtime.registry import Gate
from apps.realtime.sockets import Socket
from apps.realtime.threads import in_thread
from apps.realtime.transport import HEARTBEAT_SECONDS
from apps.realtime.wakeups import GROUP, channel_layer, receive_here, wake

log = structlog.get_logger(__name__)

HEAL_SECONDS = 5
BEATS = HEARTBEAT_SECONDS // HEAL_SECONDS
# While Redis is away, wake-ups beyond these are dropped: the other hubs will find them in the log.
UNSENT_WAKEUPS = 1_000

_hub: "Hub | None" = None


def running_hub() -> "Hub | None":
    """Return the hub of this process if it serves sockets."""
    return _hub if _hub is not None and not _hub.loop.is_closed() else None


def hub(gate: Gate) -> "Hub":
    """Return the hub of this process, started on the running loop the first time."""
    global _hub
    if _hub is None or _hub.loop is not asyncio.get_running_loop():
        _hub = Hub(gate)
        _hub.start()
    return _hub


def sessions_close(sessions: Iterable[UUID]) -> None:
    """Close, in every process, the sockets of sessions that are over."""
    wake(ended_sessions=sessions)


class Hub:
    """The sockets of this process and the streams that they follow. Lives on one event loop."""

    def __init__(self, gate: Gate) -> None:
        self.id = uuid4().hex
        self.loop = asyncio.get_running_loop()
        self._gate = gate
        self._feeds: dict[str, Feed] = {}
        self._sockets: set[Socket] = set()
        self._by_session: defaultdict[UUID, set[Socket]] = defaultdict(set)
        self._unsent: deque[dict[str, Any]] = deque(maxlen=UNSENT_WAKEUPS)
        self._something_unsent = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to hear and to send wake-ups, and to look after the sockets."""
        receive_here(self)
        for work in (self._hear, self._relay, self._look_after):
            self.spawn(work())

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run something beside, held by a reference until it is done."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def counts(self) -> tuple[int, int]:
        """Return how many people and how many sockets are connected here."""
        return len({socket.visitor.user_id for socket in tuple(self._sockets)}), len(self._sockets)

    # Sockets.

    def add(self, socket: Socket) -> None:
        """Take in a socket whose visitor is known."""
        self._sockets.add(socket)
        self._by_session[socket.visitor.session_id].add(socket)

    def remove(self, socket: Socket) -> None:
        """Forget a socket."""
        self._sockets.discard(socket)
        of_session = self._by_session[socket.visitor.session_id]
        of_session.discard(socket)
        if not of_session:
            del self._by_session[socket.visitor.session_id]
        for name in tuple(socket.streams):
            self.unfollow(socket, name)

    async def join(self, socket: Socket, name: str) -> None:
        """Have the socket follow the stream from where it stands, without a word."""
        feed = self._feed(name)
        socket.streams.add(name)
        try:
            await feed.join(socket)
        finally:
            self._tidy(feed)

    async def follow(self, socket: Socket, name: str, after: int | None, epoch: str) -> None:
        """Have the socket follow the stream after a number; see Feed.follow."""
        self.unfollow(socket, name)
        feed = self._feed(name)
        try:
            await feed.follow(socket, after, epoch)
            socket.streams.add(name)
        finally:
            self._tidy(feed)

    def unfollow(self, socket: Socket, name: str) -> None:
        """Let the socket go from the stream."""
        socket.streams.discard(name)
        feed = self._feeds.get(name)
        if feed is not None:
            feed.leave(socket)
            self._tidy(feed)

    def heads_of(self, socket: Socket) -> dict[str, int]:
        """Return the last number of each stream that the socket follows."""
        return {name: self._feeds[name].position for name in socket.streams if name in self._feeds}

    def close_session(self, session: UUID) -> None:
        """Close the sockets of a session that is over."""
        for socket in tuple(self._by_session.get(session, ())):
            socket.close_soon(SESSION_REVOKED)

    def _feed(self, name: str) -> Feed:
        if name not in self._feeds:
            self._feeds[name] = Feed(name, self.spawn)
        return self._feeds[name]

    def _tidy(self, feed: Feed) -> None:
        if feed.idle:
            self._feeds.pop(feed.name, None)

    # Wake-ups.

    def take_and_relay(self, message: dict[str, Any]) -> None:
        """Deliver what happened in this process, and tell the others."""
        self.take(message)
        self._unsent.append(message)
        self._something_unsent.set()

    def take(self, message: dict[str, Any]) -> None:
        """Deliver the frames of one wake-up to the sockets here, and close those that must go."""
        for stream, seq, text in message["frames"]:
            feed = self._feeds.get(stream)
            if feed is not None:
                feed.take(Frame(stream, seq, text))
        for session in message["ended"]:
            self.close_session(UUID(session))

    async def _relay(self) -> None:
        """Send to the other processes what happened here, all that is waiting in one message."""
        layer = channel_layer()
        while True:
            await self._something_unsent.wait()
            self._something_unsent.clear()
            waiting = [self._unsent.popleft() for _ in range(len(self._unsent))]
            message = {
                "type": "hub.wake",
                "origin": self.id,
                "frames": [frame for one in waiting for frame in one["frames"]],
                "ended": [session for one in waiting for session in one["ended"]],
            }
            try:
                await layer.group_send(GROUP, message)
            except Exception as error:  # noqa: BLE001
                log.warning("wake-up not sent", error=type(error).__name__, wakeups=len(waiting))

    async def _hear(self) -> None:
        """Take the wake-ups of the other processes."""
        layer = channel_layer()
        while True:
            try:
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
                while True:
                    message = await layer.receive(channel)
                    if message.get("origin") != self.id:
                        self.take(message)
            except Exception as error:  # noqa: BLE001
                log.warning("channel layer is down", error=type(error).__name__)
                await asyncio.sleep(1)

    # Upkeep.

    async def _look_after(self) -> None:
        """Heal the streams every few seconds; each time a share of the sockets gets a heartbeat."""
        beat = 0
        while True:
            await asyncio.sleep(HEAL_SECONDS)
            beat = (beat + 1) % BEATS
            work = [self._heal(), self._heartbeat(beat)]
            if beat == 0:
                work += [self._sweep_sessions(), self._beat_presence()]
            for step in work:
                try:
                    await step
                except Exception:
                    log.warning("upkeep failed", exc_info=True)

    async def _heal(self) -> None:
        """Compare the streams followed here with the log."""
        for name, (head, epoch) in (await in_thread(heads, list(self._feeds))).items():
            if name in self._feeds:
                self._feeds[name].hear_of(head, epoch)

    async def _heartbeat(self, beat: int) -> None:
        for socket in [one for one in self._sockets if one.number % BEATS == beat]:
            socket.push(render("heartbeat", {"streams": self.heads_of(socket)}))

    async def _sweep_sessions(self) -> None:
        """Close the sockets of sessions that ended without a word that reached this process."""
        sessions = list(self._by_session)
        for ended in set(sessions) - await in_thread(self._gate.living, sessions):
            self.close_session(ended)

    async def _beat_presence(self) -> None:
        alive = [socket for socket in self._sockets if not socket.closed]
        for user in await in_thread(presence().beat, [socket.device for socket in alive]):
            await in_thread(announce_offline, user)
        # One that left meanwhile may have been said to be alive after it had left.
        for socket in alive:
            if socket.closed:
                await in_thread(presence().leave, socket.device)
