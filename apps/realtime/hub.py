"""One hub per process: it hears every wake-up once and hands each frame to the sockets that follow.

The numbers of a stream reach its sockets without a hole. A frame that comes too early, because a
wake-up was lost or overtaken, makes the hub read the log for what is missing; and every few
seconds it compares its streams' heads with the log's, so that a lost last event heals too.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import structlog
from channels.layers import get_channel_layer

from apps.realtime import log as event_log
from apps.realtime.closing import SESSION_REVOKED
from apps.realtime.frames import Frame, render, user_stream
from apps.realtime.presence import last_seen_save, presence
from apps.realtime.registry import Gate, audience_of
from apps.realtime.threads import in_thread
from apps.realtime.wakeups import GROUP

if TYPE_CHECKING:
    from apps.realtime.consumer import SocketConsumer

log = structlog.get_logger(__name__)

HEAL_SECONDS = 5
HEARTBEAT_SECONDS = 25
BEATS = HEARTBEAT_SECONDS // HEAL_SECONDS
# While Redis is away, wake-ups beyond these are dropped: the other hubs will find them in the log.
UNSENT_WAKEUPS = 1_000

_hub: "Hub | None" = None


def running_hub() -> "Hub | None":
    """Return the hub of this process if it serves sockets."""
    return _hub if _hub is not None and not _hub.loop.is_closed() else None


def hub(gate: Gate) -> "Hub":
    """Return the hub of this process, started on the running loop the first time."""
    global _hub  # noqa: PLW0603
    if running_hub() is None or (_hub and _hub.loop is not asyncio.get_running_loop()):
        _hub = Hub(gate)
        _hub.start()
    assert _hub is not None
    return _hub


class Feed:
    """A stream as this process follows it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = ""
        self.position = 0
        self.wanted = 0
        self.followers: set[SocketConsumer] = set()
        self.catching_up = 0
        self.filling: asyncio.Task[None] | None = None

    def hand_out(self, frame: Frame) -> None:
        """Give every follower the next frame of the stream."""
        self.position = frame.seq or self.position
        for socket in tuple(self.followers):
            socket.push(frame.text)


class Hub:
    """The sockets of this process and the streams that they follow. Lives on one event loop."""

    def __init__(self, gate: Gate) -> None:
        self.id = uuid4().hex
        self.loop = asyncio.get_running_loop()
        self._gate = gate
        self._feeds: dict[str, Feed] = {}
        self._sockets: set[SocketConsumer] = set()
        self._by_session: defaultdict[UUID, set[SocketConsumer]] = defaultdict(set)
        self._unsent: deque[dict[str, Any]] = deque(maxlen=UNSENT_WAKEUPS)
        self._something_unsent = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to hear and to send wake-ups, and to look after the sockets."""
        for work in (self._hear, self._relay, self._look_after):
            self.spawn(work())

    def spawn(self, work: Any) -> "asyncio.Task[None]":
        """Run something beside, held by a reference until it is done."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def counts(self) -> tuple[int, int]:
        """Return how many people and how many sockets are connected here."""
        return len({socket.visitor.user_id for socket in self._sockets}), len(self._sockets)

    # --- sockets ------------------------------------------------------------------------------

    def add(self, socket: "SocketConsumer") -> None:
        """Take in a socket whose visitor is known."""
        self._sockets.add(socket)
        self._by_session[socket.visitor.session_id].add(socket)

    def remove(self, socket: "SocketConsumer") -> None:
        """Forget a socket."""
        self._sockets.discard(socket)
        of_session = self._by_session[socket.visitor.session_id]
        of_session.discard(socket)
        if not of_session:
            del self._by_session[socket.visitor.session_id]
        for name in list(socket.streams):
            self.unfollow(socket, name)

    async def follow(
        self, socket: "SocketConsumer", name: str, after: int | None, epoch: str = ""
    ) -> dict[str, Any]:
        """Have the socket follow the stream, and first send it what it missed after a number.

        The answer, `subscribed` or `reset`, is sent before that. While a socket catches up, live
        frames pass it by: it reads them from the log as well, and joins the others when it
        stands where they stand.
        """
        self.unfollow(socket, name)
        feed = await self._feed(name)
        try:
            position, missed = feed.position, event_log.Missed([], complete=True)
            if after is not None:
                position = after
                missed = await in_thread(event_log.events_after, name, after, feed.position)
            known = not epoch or epoch == feed.epoch
            lost = after is not None and not (known and missed.complete)
            answer = {"stream": name, "head": feed.position, "epoch": feed.epoch}
            if lost:
                position = feed.position
                socket.push(render("reset", answer))
            else:
                answer["recovered"] = after is not None
                socket.push(render("subscribed", answer, **socket.echo()))
            while position < feed.position:
                for frame in missed.frames:
                    await socket.pushed(frame.text)
                    position = frame.seq or position
                missed = await in_thread(event_log.events_after, name, position, feed.position)
                if not missed.frames:
                    break
            if not socket.closed:
                feed.followers.add(socket)
                socket.streams.add(name)
            return answer
        finally:
            feed.catching_up -= 1
            self._drop_if_idle(feed)

    async def join(self, socket: "SocketConsumer", name: str) -> None:
        """Have the socket follow the stream from where it stands, without a word."""
        feed = await self._feed(name)
        feed.catching_up -= 1
        feed.followers.add(socket)
        socket.streams.add(name)

    def unfollow(self, socket: "SocketConsumer", name: str) -> None:
        """Let the socket go from the stream."""
        socket.streams.discard(name)
        feed = self._feeds.get(name)
        if feed is not None:
            feed.followers.discard(socket)
            self._drop_if_idle(feed)

    def heads_of(self, socket: "SocketConsumer") -> dict[str, int]:
        """Return the last number of each stream that the socket follows."""
        return {name: self._feeds[name].position for name in socket.streams}

    async def _feed(self, name: str) -> Feed:
        """Return the stream's feed, which the caller must count down from catching_up."""
        feed = self._feeds.get(name)
        if feed is None:
            feed = self._feeds[name] = Feed(name)
            feed.filling = self.spawn(self._start(feed))
        feed.catching_up += 1
        if feed.filling is not None:
            await asyncio.shield(feed.filling)
        return feed

    async def _start(self, feed: Feed) -> None:
        """Find out where the stream stands. Frames that arrive meanwhile are in `wanted`."""
        try:
            feed.position, feed.epoch = (await in_thread(event_log.heads, [feed.name]))[feed.name]
        except Exception:
            # A feed that does not know where it stands must not be followed by anybody.
            self._feeds.pop(feed.name, None)
            raise
        finally:
            feed.filling = None
        self._fill_if_behind(feed)

    def _drop_if_idle(self, feed: Feed) -> None:
        if not feed.followers and not feed.catching_up:
            self._feeds.pop(feed.name, None)

    # --- frames -------------------------------------------------------------------------------

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
                self._deliver(feed, Frame(stream, seq, text))
        for session in message["ended"]:
            self.close_session(UUID(session))

    def _deliver(self, feed: Feed, frame: Frame) -> None:
        if frame.seq is None or (frame.seq == feed.position + 1 and feed.filling is None):
            feed.hand_out(frame)
        elif frame.seq > feed.position:
            feed.wanted = max(feed.wanted, frame.seq)
            self._fill_if_behind(feed)

    def _fill_if_behind(self, feed: Feed) -> None:
        if feed.wanted > feed.position and feed.filling is None:
            feed.filling = self.spawn(self._fill(feed))

    async def _fill(self, feed: Feed) -> None:
        """Hand out from the log what is missing up to the last number heard of."""
        try:
            while feed.position < feed.wanted:
                missed = await in_thread(event_log.events_after, feed.name, feed.position)
                if not missed.frames:
                    break
                if not missed.complete:
                    self._reset(feed, missed.frames[-1].seq or feed.wanted)
                    break
                for frame in missed.frames:
                    feed.hand_out(frame)
        except Exception:  # noqa: BLE001
            # The next look at the heads tries again.
            log.warning("log not read", stream=feed.name, exc_info=True)
        finally:
            feed.wanted = feed.position
            feed.filling = None

    def _reset(self, feed: Feed, position: int) -> None:
        feed.position = position
        answer = {"stream": feed.name, "head": position, "epoch": feed.epoch}
        for socket in tuple(feed.followers):
            socket.push(render("reset", answer))

    # --- between processes --------------------------------------------------------------------

    async def _relay(self) -> None:
        """Send to the other processes what happened here, all that is waiting in one message."""
        layer = get_channel_layer()
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
                log.warning("wake-up not sent", error=type(error).__name__, frames=len(message["frames"]))

    async def _hear(self) -> None:
        """Take the wake-ups of the other processes."""
        layer = get_channel_layer()
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

    # --- upkeep -------------------------------------------------------------------------------

    async def _look_after(self) -> None:
        """Every few seconds heal the streams; a share of the sockets gets its heartbeat each time."""
        beat = 0
        while True:
            await asyncio.sleep(HEAL_SECONDS)
            beat = (beat + 1) % BEATS
            work = [self._heal, partial(self._heartbeat, beat)]
            if beat == 0:
                work += [self._sweep_sessions, self._beat_presence]
            for step in work:
                try:
                    await step()
                except Exception:  # noqa: BLE001
                    log.warning("upkeep failed", exc_info=True)

    async def _heal(self) -> None:
        for name, (head, epoch) in (await in_thread(event_log.heads, list(self._feeds))).items():
            feed = self._feeds.get(name)
            if feed is None:
                continue
            feed.epoch = feed.epoch or epoch
            feed.wanted = max(feed.wanted, head)
            self._fill_if_behind(feed)

    async def _heartbeat(self, beat: int) -> None:
        for socket in [one for one in self._sockets if one.number % BEATS == beat]:
            socket.push(render("heartbeat", {"streams": self.heads_of(socket)}))

    async def _sweep_sessions(self) -> None:
        """Close the sockets of sessions that ended without a word that reached this process."""
        sessions = list(self._by_session)
        for ended in set(sessions) - await in_thread(self._gate.living, sessions):
            self.close_session(ended)

    def close_session(self, session: UUID) -> None:
        """Close the sockets of a session that is over."""
        for socket in tuple(self._by_session.get(session, ())):
            socket.close_soon(SESSION_REVOKED)

    async def _beat_presence(self) -> None:
        devices = [socket.device for socket in self._sockets]
        for user in await in_thread(presence().beat, devices):
            await in_thread(announce_offline, user)


def announce_online(user_id: UUID) -> None:
    """Tell those who may know that the first device of a person is on."""
    _tell_audience("user_online", user_id, {})


def announce_offline(user_id: UUID) -> None:
    """Tell those who may know that the last device of a person is off, and note when."""
    at = last_seen_save(user_id)
    _tell_audience("user_offline", user_id, {"lastSeenAt": at.isoformat().replace("+00:00", "Z")})


def _tell_audience(kind: str, user_id: UUID, more: dict[str, Any]) -> None:
    streams = [user_stream(other) for other in audience_of(user_id)]
    event_log.signal(streams, kind, {"userId": str(user_id), **more})


def sessions_close(sessions: Iterable[UUID]) -> None:
    """Close, in every process, the sockets of sessions that are over."""
    from apps.realtime.wakeups import wake

    wake(ended_sessions=list(sessions))
