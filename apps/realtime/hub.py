"""One hub per process: it receives each wake-up that concerns it once and knows the sockets.

Every few seconds it compares the heads of its streams with the log, so that a lost last event is
found too. With every heartbeat it asks which sessions of its sockets are still active, and which
streams their users may read, so that a lost control is made up for.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from apps.core.errors import Busy
from apps.core.kept import drop_here
from apps.realtime.admission import Admission, Candidate, admit
from apps.realtime.background import every, spawn
from apps.realtime.closing import SESSION_REVOKED
from apps.realtime.controls import DropTag, EndSession, LeaveRoom, Revoke, Subscribe, unpack
from apps.realtime.database_notices import Notice
from apps.realtime.frames import Frame, Wakeup
from apps.realtime.isolation import each
from apps.realtime.presence import (
    PresenceChange,
    announce_departures,
    announce_presence,
    presence_store,
)
from apps.realtime.registry import MustWait, SocketAuthenticator
from apps.realtime.relay import Relay
from apps.realtime.room_sockets import RoomSockets
from apps.realtime.rooms import room_check, room_leave, rooms_expire, rooms_refresh
from apps.realtime.server_frames import ROOM_PREFIX
from apps.realtime.socket_frames import Heartbeat
from apps.realtime.sockets import PresenceEntry, Socket, Subscriber
from apps.realtime.subscriptions import Subscriptions
from apps.realtime.threads import in_redis_thread, in_thread, later
from apps.realtime.together import Together
from apps.realtime.transport import HEARTBEAT_SECONDS
from apps.realtime.wakeups import receive_here, wake

HEAL_SECONDS = 5
# Heartbeats are sent to one part of the sockets every HEAL_SECONDS, so that they are spread out.
HEARTBEAT_PARTS = HEARTBEAT_SECONDS // HEAL_SECONDS
# A session may end after its socket was authenticated and before the hub knows that socket. The hub
# remembers for so many seconds which sessions ended; the sweep finds what takes longer.
ENDED_SECONDS = 60
# How long a process receives a stream at least after its last subscriber left.
LINGER_SECONDS = 30
# How many rooms one sweep checks, with a query each.
ROOMS_CHECKED_AT_ONCE = 500

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


def tell_drops(tags: Iterable[str]) -> None:
    """Drop what has one of the tags from the caches of every process."""
    wake(controls=map(DropTag, tags))


def sessions_close(sessions: Iterable[UUID]) -> None:
    """Close, in every process, the sockets of sessions that ended."""
    wake(controls=map(EndSession, sessions))


class Hub:
    """The sockets of this process. Lives on one event loop."""

    def __init__(self, authenticator: SocketAuthenticator) -> None:
        self.loop = asyncio.get_running_loop()
        self._relay = Relay(self.deliver, self.receive_notice, self._find_lost_controls)
        self.subscriptions = Subscriptions(self._relay.listen)
        self.rooms = RoomSockets()
        self._authenticator = authenticator
        self._sockets: set[Socket] = set()
        self._by_session: defaultdict[UUID, set[Subscriber]] = defaultdict(set)
        self._ended: dict[UUID, float] = {}
        self._heartbeat_part = 0
        self._admissions = Together(self._admit_together)
        self._arrivals = Together(self._announce_together)
        self._departures = Together(self._forget_together)

    def start(self) -> None:
        """Begin to send and receive wake-ups, and the repeated work for the sockets."""
        receive_here(self)
        self._relay.start()
        heartbeat = HEAL_SECONDS * HEARTBEAT_PARTS
        # Each runs by itself, so that a database that hangs does not delay what needs no database.
        spawn(every(HEAL_SECONDS, self._heal))
        spawn(every(HEAL_SECONDS, self._send_heartbeats))
        spawn(every(HEAL_SECONDS, self._announce_departures))
        spawn(every(LINGER_SECONDS, self._leave_idle))
        spawn(every(heartbeat, self._sweep_sessions))
        spawn(every(heartbeat, self._sweep_subscriptions))
        spawn(every(heartbeat, self._refresh_presence))
        spawn(every(HEAL_SECONDS, self._expire_rooms))
        spawn(every(heartbeat, self._refresh_rooms))

    def counts(self) -> tuple[int, int]:
        """Return how many users and how many sockets are connected here."""
        return len({socket.identity.user_id for socket in tuple(self._sockets)}), len(self._sockets)

    # Sockets.

    async def admit(self, candidate: Candidate, owner: str) -> Admission:
        """Return the admission of a client, together with those who arrive at the same moment;
        raise why there is none. The owner is the network of the client."""
        try:
            return await self._admissions.ask(candidate, owner)
        except MustWait:
            admitting = partial(admit, self._authenticator, [candidate], wait=True)
            [outcome] = await in_redis_thread(admitting)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def announce(self, change: PresenceChange) -> None:
        """Tell others that a user is online, soon. Nobody waits for that."""
        self._arrivals.ask(change)

    async def forget(self, entry: PresenceEntry) -> None:
        """Remove a socket that is closed from the store of presence, together with those that are
        closed at the same moment."""
        try:
            await self._departures.ask(entry)
        except Busy:
            # The user would stay online for as long as the store keeps the socket.
            later(partial(presence_store().leave, [entry]))

    async def _admit_together(
        self, candidates: Sequence[Candidate]
    ) -> Sequence[Admission | Exception]:
        return await in_redis_thread(admit, self._authenticator, candidates)

    async def _announce_together(self, changes: Sequence[PresenceChange]) -> Sequence[None]:
        await in_thread(announce_presence, changes)
        return [None] * len(changes)

    async def _forget_together(self, entries: Sequence[PresenceEntry]) -> Sequence[None]:
        await in_redis_thread(presence_store().leave, entries)
        return [None] * len(entries)

    def add(self, socket: Socket) -> None:
        """Add a socket that is authenticated."""
        self._sockets.add(socket)
        self.enter(socket)

    def remove(self, socket: Socket) -> None:
        """Forget a socket."""
        self._sockets.discard(socket)
        self.rooms.remove_from_all(socket)
        self.leave(socket)

    def enter(self, subscriber: Subscriber) -> None:
        """Close the subscriber when its session ends, and let it subscribe to streams."""
        self._by_session[subscriber.identity.session_id].add(subscriber)
        self.subscriptions.add(subscriber)
        if subscriber.identity.session_id in self._ended:
            subscriber.close(SESSION_REVOKED)

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a subscriber."""
        of_session = self._by_session[subscriber.identity.session_id]
        of_session.discard(subscriber)
        if not of_session:
            del self._by_session[subscriber.identity.session_id]
        self.subscriptions.remove(subscriber)

    async def enter_room(self, socket: Socket, room: str) -> None:
        """Have a socket receive the signals of a room."""
        self.rooms.add(socket, room)
        await self._relay.listen([ROOM_PREFIX + room])

    async def leave_rooms(self, socket: Socket) -> None:
        """Take a socket that is closed out of its rooms."""
        if left := self.rooms.remove_from_all(socket):
            leave = partial(room_leave, left)
            try:
                await in_redis_thread(leave)
            except Busy:
                # Its user would stay inside for as long as the store keeps the socket.
                later(leave)

    def close_session(self, session: UUID) -> None:
        """Close the sockets and the polls of a session that ended."""
        self._ended[session] = self.loop.time()
        for subscriber in tuple(self._by_session.get(session, ())):
            subscriber.close(SESSION_REVOKED)

    # Wake-ups.

    def deliver_and_relay(self, wakeup: Wakeup) -> None:
        """Deliver what happened in this process, and send it to the other processes."""
        self.deliver(wakeup)
        self._relay.send(wakeup)

    def deliver(self, wakeup: Wakeup) -> None:
        """Deliver the frames of a wake-up to the sockets here, and apply its controls."""
        each("frame", wakeup["frames"], lambda packed: self._deliver(Frame(*packed)))
        self._apply(wakeup["controls"])

    def _deliver(self, frame: Frame) -> None:
        if frame.stream.startswith(ROOM_PREFIX):
            self.rooms.deliver(frame)
        else:
            self.subscriptions.deliver(frame)

    def receive_notice(self, notice: Notice) -> None:
        """Have the streams here read what they miss of a notice, and apply its controls."""
        for name, head in notice["heads"].items():
            self.subscriptions.notice_head(name, head)
        self._apply(notice["controls"])

    def _apply(self, controls: Iterable[Any]) -> None:
        granted: defaultdict[str, list[UUID]] = defaultdict(list)
        changed: list[str] = []

        def apply(packed: Any) -> None:
            match unpack(packed):
                case EndSession(session):
                    self.close_session(session)
                case Revoke(user, stream):
                    self.subscriptions.revoke(user, stream)
                case Subscribe(user, stream):
                    granted[stream].append(user)
                case LeaveRoom(user, room):
                    self.rooms.expel(user, room)
                case DropTag(tag):
                    changed.append(tag)

        each("control", controls, apply)
        drop_here(changed)
        for stream, users in granted.items():
            spawn(self.subscriptions.subscribe_users(users, stream))

    # Upkeep.

    async def _heal(self) -> None:
        """Compare the streams here with the log."""
        await self.subscriptions.heal()

    async def _leave_idle(self) -> None:
        """Receive no more of the streams that nobody here needed for a while."""
        self._relay.leave_idle(self.subscriptions.needed() | self.rooms.needed())

    async def _send_heartbeats(self) -> None:
        """Send the heads of their streams to one part of the sockets.

        A socket whose `connected` was not sent yet is passed over, since that is its first frame.
        """
        self._heartbeat_part = (self._heartbeat_part + 1) % HEARTBEAT_PARTS
        each(
            "heartbeat",
            [
                socket
                for socket in self._sockets
                if socket.connected and socket.number % HEARTBEAT_PARTS == self._heartbeat_part
            ],
            lambda socket: socket.push(Heartbeat(streams=socket.heads()).render()),
        )

    async def _announce_departures(self) -> None:
        await in_redis_thread(announce_departures)

    def _find_lost_controls(self) -> None:
        """Sweep at once, since controls that came while no wake-up was received are lost. Lost
        events are found by the next comparison with the log."""
        spawn(self._sweep_sessions())
        spawn(self._sweep_subscriptions())

    async def _sweep_sessions(self) -> None:
        """Close the sockets of sessions whose end this process was not told of."""
        sessions = list(self._by_session)
        for ended in set(sessions) - await in_thread(self._authenticator.active_sessions, sessions):
            self.close_session(ended)
        oldest = self.loop.time() - ENDED_SECONDS
        self._ended = {session: at for session, at in self._ended.items() if at > oldest}

    async def _sweep_subscriptions(self) -> None:
        """Subscribe and revoke what no control that reached this process asked for."""
        await self.subscriptions.sweep()

    async def _refresh_presence(self) -> None:
        alive = {socket: socket.entry for socket in self._sockets if not socket.closed}
        refresh = presence_store().refresh
        if changes := await in_redis_thread(refresh, list(alive.values())):
            await in_thread(announce_presence, changes)
        # An activity that changed meanwhile may have been overwritten by the one before.
        changed = [socket.entry for socket, entry in alive.items() if socket.entry is not entry]
        if changed and (changes := await in_redis_thread(refresh, changed)):
            await in_thread(announce_presence, changes)
        # A socket that left meanwhile may have been refreshed after it left.
        if left := [socket.entry for socket in alive if socket.closed]:
            await in_redis_thread(presence_store().leave, left)

    async def _expire_rooms(self) -> None:
        await in_redis_thread(rooms_expire)

    async def _refresh_rooms(self) -> None:
        """Keep the sockets in their rooms, but for those whose users may not be there any more."""
        refreshed = self.rooms.entries()
        await in_redis_thread(rooms_refresh, refreshed)
        # A socket that left meanwhile may have been refreshed after it left.
        now = set(self.rooms.entries())
        if left := [entry for entry in refreshed if entry not in now]:
            await in_redis_thread(room_leave, left)
        for room, users in self.rooms.next_to_check(ROOMS_CHECKED_AT_ONCE).items():
            await in_redis_thread(room_check, room, users)
