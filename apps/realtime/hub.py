"""One hub per process: it hears every wake-up once and knows the sockets that it concerns.

Every few seconds it compares its streams' heads with the log's, so that a lost last event heals
too; and with every heartbeat it looks whether the sessions of its sockets are still good, and what
their users may read, so that a lost word of a change does.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from typing import Any
from uuid import UUID

import structlog

from apps.realtime.closing import SESSION_REVOKED
from apps.realtime.controls import EndSession, Revoke, Subscribe, unpack
from apps.realtime.database_notices import Notice
from apps.realtime.frames import Frame
from apps.realtime.isolation import each
from apps.realtime.presence import announce_departures, announce_online, presence_store
from apps.realtime.registry import SocketAuthenticator
from apps.realtime.relay import Relay
from apps.realtime.socket_frames import Heartbeat
from apps.realtime.sockets import Socket
from apps.realtime.subscriptions import Subscriptions
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


def hub(authenticator: SocketAuthenticator) -> "Hub":
    """Return the hub of this process, started on the running loop the first time."""
    global _hub
    if _hub is None or _hub.loop is not asyncio.get_running_loop():
        _hub = Hub(authenticator)
        _hub.start()
    return _hub


def sessions_close(sessions: Iterable[UUID]) -> None:
    """Close, in every process, the sockets of sessions that are over."""
    wake(controls=map(EndSession, sessions))


class Hub:
    """The sockets of this process. Lives on one event loop."""

    def __init__(self, authenticator: SocketAuthenticator) -> None:
        self.loop = asyncio.get_running_loop()
        self._authenticator = authenticator
        self.subscriptions = Subscriptions(self.spawn)
        self._sockets: set[Socket] = set()
        self._by_session: defaultdict[UUID, set[Socket]] = defaultdict(set)
        self._ended: dict[UUID, float] = {}
        self._round = 0
        self._relay = Relay(self.take, self.receive_notice)
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
        self.spawn(self._every(BEATS, self._sweep_subscriptions))
        self.spawn(self._every(BEATS, self._beat_presence))

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run something beside, held by a reference until it is done."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def counts(self) -> tuple[int, int]:
        """Return how many people and how many sockets are connected here."""
        return len({socket.identity.user_id for socket in tuple(self._sockets)}), len(self._sockets)

    # Sockets.

    def add(self, socket: Socket) -> None:
        """Take in a socket whose visitor is known."""
        self._sockets.add(socket)
        self._by_session[socket.identity.session_id].add(socket)
        self.subscriptions.add(socket)
        if socket.identity.session_id in self._ended:
            socket.close_soon(SESSION_REVOKED)

    def remove(self, socket: Socket) -> None:
        """Forget a socket."""
        self._sockets.discard(socket)
        of_session = self._by_session[socket.identity.session_id]
        of_session.discard(socket)
        if not of_session:
            del self._by_session[socket.identity.session_id]
        self.subscriptions.remove(socket)

    def close_session(self, session: UUID) -> None:
        """Close the sockets of a session that is over."""
        self._ended[session] = self.loop.time()
        for socket in tuple(self._by_session.get(session, ())):
            socket.close_soon(SESSION_REVOKED)

    # Wake-ups.

    def deliver_and_relay(self, wakeup: Wakeup) -> None:
        """Deliver what happened in this process, and tell the others."""
        self.take(wakeup)
        self._relay.send(wakeup)

    def take(self, wakeup: Wakeup) -> None:
        """Deliver the frames of one wake-up to the sockets here, and do with these what it says."""
        each("frame", wakeup["frames"], lambda packed: self.subscriptions.take(Frame(*packed)))
        self._obey(wakeup["controls"])

    def receive_notice(self, look: Notice) -> None:
        """Have the streams here read what they miss, and do with the sockets what it says."""
        for name, head in look["heads"].items():
            self.subscriptions.notice_head(name, head)
        self._obey(look["controls"])

    def _obey(self, controls: Iterable[Any]) -> None:
        joining: defaultdict[str, list[UUID]] = defaultdict(list)

        def obey(packed: Any) -> None:
            match unpack(packed):
                case EndSession(session):
                    self.close_session(session)
                case Revoke(user, stream):
                    self.subscriptions.revoke(user, stream)
                case Subscribe(user, stream):
                    joining[stream].append(user)

        each("control", controls, obey)
        for stream, users in joining.items():
            self.spawn(self.subscriptions.subscribe_users(users, stream))

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
        """Compare the streams here with the log."""
        await self.subscriptions.heal()

    async def _heartbeat(self) -> None:
        """Tell a share of the sockets the heads of their streams.

        One that is not welcomed yet is passed over: its first frame is `connected`.
        """
        self._round = (self._round + 1) % BEATS
        share = [one for one in self._sockets if one.welcomed and one.number % BEATS == self._round]
        each("heartbeat", share, self._beat)

    def _beat(self, socket: Socket) -> None:
        socket.push(Heartbeat(streams=self.subscriptions.heads_of(socket)).render())

    async def _announce_departures(self) -> None:
        await asking_redis(announce_departures)

    async def _sweep_sessions(self) -> None:
        """Close the sockets of sessions that ended without a word that reached this process."""
        sessions = list(self._by_session)
        for ended in set(sessions) - await in_thread(self._authenticator.active_sessions, sessions):
            self.close_session(ended)
        young = self.loop.time() - ENDED_SECONDS
        self._ended = {session: at for session, at in self._ended.items() if at > young}

    async def _sweep_subscriptions(self) -> None:
        """Subscribe and revoke what no word that reached this process said."""
        await self.subscriptions.sweep()

    async def _beat_presence(self) -> None:
        alive = [socket for socket in self._sockets if not socket.closed]
        for arrival in await asking_redis(presence_store().refresh, [one.entry for one in alive]):
            await in_thread(announce_online, arrival)
        # One that left meanwhile may have been said to be alive after it had left.
        for socket in alive:
            if socket.closed:
                await asking_redis(presence_store().leave, socket.entry)
