"""One hub per process: it hears every wake-up once and knows which socket follows what.

Every few seconds it compares its streams' heads with the log's, so that a lost last event heals
too; and with every heartbeat it looks whether the sessions of its sockets are still good, so that
a lost word of their end does.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from typing import Any
from uuid import UUID

import structlog

from apps.realtime.closing import SESSION_REVOKED
from apps.realtime.feed import Feed
from apps.realtime.frames import Frame
from apps.realtime.isolation import each
from apps.realtime.log import heads
from apps.realtime.pages import Pages
from apps.realtime.presence import announce_departures, announce_online, presence
from apps.realtime.registry import Gate
from apps.realtime.relay import Relay
from apps.realtime.second_way import Look
from apps.realtime.socket_frames import Heartbeat
from apps.realtime.sockets import Socket
from apps.realtime.threads import asking_redis, in_thread
from apps.realtime.transport import HEARTBEAT_SECONDS
from apps.realtime.wakeups import Wakeup, receive_here, wake

log = structlog.get_logger(__name__)

HEAL_SECONDS = 5
BEATS = HEARTBEAT_SECONDS // HEAL_SECONDS
# A socket may be let in on a session that ends before the hub knows the socket; ends that are
# younger than this are held against it. What takes longer, the sweep of the sessions finds.
ENDED_SECONDS = 60

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
        self.loop = asyncio.get_running_loop()
        self._gate = gate
        self._feeds: dict[str, Feed] = {}
        self._pages = Pages()
        self._sockets: set[Socket] = set()
        self._by_session: defaultdict[UUID, set[Socket]] = defaultdict(set)
        self._ended: dict[UUID, float] = {}
        self._round = 0
        self._relay = Relay(self.take, self.take_look)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to hear and to send wake-ups, and to look after the sockets."""
        receive_here(self)
        self._relay.start(self.spawn)
        # Each by itself, so that a database that hangs does not hold up what needs none.
        self.spawn(self._every(1, self._heal))
        self.spawn(self._every(1, self._heartbeat))
        self.spawn(self._every(1, self._announce_departures))
        self.spawn(self._every(BEATS, self._sweep_sessions))
        self.spawn(self._every(BEATS, self._beat_presence))

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
        if socket.visitor.session_id in self._ended:
            socket.close_soon(SESSION_REVOKED)

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
        try:
            await feed.join(socket)
            socket.streams.add(name)
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
        self._ended[session] = self.loop.time()
        for socket in tuple(self._by_session.get(session, ())):
            socket.close_soon(SESSION_REVOKED)

    def _feed(self, name: str) -> Feed:
        if name not in self._feeds:
            self._feeds[name] = Feed(name, self.spawn, self._pages)
        return self._feeds[name]

    def _tidy(self, feed: Feed) -> None:
        if feed.idle:
            self._feeds.pop(feed.name, None)

    # Wake-ups.

    def take_and_relay(self, wakeup: Wakeup) -> None:
        """Deliver what happened in this process, and tell the others."""
        self.take(wakeup)
        self._relay.send(wakeup)

    def take(self, wakeup: Wakeup) -> None:
        """Deliver the frames of one wake-up to the sockets here, and close those that must go."""
        each("frame", wakeup["frames"], self._take_frame)
        each("end of session", wakeup["ended"], lambda id_: self.close_session(UUID(id_)))

    def take_look(self, look: Look) -> None:
        """Have the streams here read what they miss, and close the sockets that must go."""
        for name, head in look["heads"].items():
            if name in self._feeds:
                self._feeds[name].hear_of(head)
        each("end of session", look["ended"], lambda id_: self.close_session(UUID(id_)))

    def _take_frame(self, packed: Any) -> None:
        feed = self._feeds.get(packed[0])
        if feed is not None:
            feed.take(Frame(*packed))

    # Upkeep.

    async def _every(self, rounds: int, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do one step of the upkeep again and again, after so many rounds of HEAL_SECONDS."""
        while True:
            await asyncio.sleep(HEAL_SECONDS * rounds)
            try:
                await step()
            except Exception:
                log.warning("upkeep failed", step=step.__name__, exc_info=True)

    async def _heal(self) -> None:
        """Compare the streams followed here with the log."""
        stood_at = {name: feed.position for name, feed in self._feeds.items()}
        for name, (head, epoch) in (await in_thread(heads, list(stood_at))).items():
            if name in self._feeds:
                self._feeds[name].compare(head, epoch, stood_at[name])

    async def _heartbeat(self) -> None:
        """Tell a share of the sockets the heads of their streams.

        One that is not welcomed yet is passed over: its first frame is `connected`.
        """
        self._round = (self._round + 1) % BEATS
        share = [one for one in self._sockets if one.welcomed and one.number % BEATS == self._round]
        each("heartbeat", share, self._beat)

    def _beat(self, socket: Socket) -> None:
        socket.push(Heartbeat(streams=self.heads_of(socket)).render())

    async def _announce_departures(self) -> None:
        await asking_redis(announce_departures)

    async def _sweep_sessions(self) -> None:
        """Close the sockets of sessions that ended without a word that reached this process."""
        sessions = list(self._by_session)
        for ended in set(sessions) - await in_thread(self._gate.living, sessions):
            self.close_session(ended)
        young = self.loop.time() - ENDED_SECONDS
        self._ended = {session: at for session, at in self._ended.items() if at > young}

    async def _beat_presence(self) -> None:
        alive = [socket for socket in self._sockets if not socket.closed]
        for arrival in await asking_redis(presence().beat, [one.device for one in alive]):
            await in_thread(announce_online, arrival)
        # One that left meanwhile may have been said to be alive after it had left.
        for socket in alive:
            if socket.closed:
                await asking_redis(presence().leave, socket.device)
