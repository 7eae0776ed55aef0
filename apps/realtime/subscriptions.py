"""Which sockets of this process are subscribed to which streams.

Whether a user may read a stream, and from which event on, is for the database to say. It is asked
before a socket is subscribed; what another process says is only a reason to ask, and a sweep asks
again for what was lost of that. A revocation is heard at once, and holds until it is asked anew.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog

from apps.core.errors import NotFound
from apps.realtime.event_log import heads
from apps.realtime.frames import Frame
from apps.realtime.pages import Pages
from apps.realtime.socket_frames import Unsubscribed
from apps.realtime.sockets import Socket
from apps.realtime.stream_subscribers import ResumePoint, Spawn, StreamSubscribers
from apps.realtime.streams import readers_of, standing_of
from apps.realtime.threads import in_thread

log = structlog.get_logger(__name__)

# Of so many users it is asked at a time which streams they belong to.
USERS_AT_ONCE = 500


class Subscriptions:
    """The streams that sockets here are subscribed to. Lives on one event loop."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._subscribers: dict[str, StreamSubscribers] = {}
        self._pages = Pages()
        self._by_user: defaultdict[UUID, set[Socket]] = defaultdict(set)
        # What sockets are to be subscribed to, and from which event on, because a process said so:
        # once they are welcomed; and those that are being subscribed.
        self._waiting: defaultdict[Socket, dict[str, int]] = defaultdict(dict)
        self._joining: set[tuple[Socket, str]] = set()

    def add(self, socket: Socket) -> None:
        """Take in a socket whose visitor is known."""
        self._by_user[socket.identity.user_id].add(socket)

    def remove(self, socket: Socket) -> None:
        """Forget a socket."""
        of_user = self._by_user[socket.identity.user_id]
        of_user.discard(socket)
        if not of_user:
            del self._by_user[socket.identity.user_id]
        self._waiting.pop(socket, None)
        for name in tuple(socket.streams):
            self.unsubscribe(socket, name)

    async def enter(self, socket: Socket) -> None:
        """Subscribe a new socket to the streams that its user belongs to, without a word, from
        where they stand."""
        user = socket.identity.user_id
        standing = (await in_thread(standing_of, [user]))[user]
        # One question for all of them, however many there are.
        asked = asyncio.ensure_future(
            in_thread(heads, [*standing.keys() - self._subscribers.keys()])
        )
        for name, readable_after in standing.items():
            subscribers = self._subscribers_of(name, asked)
            try:
                await subscribers.subscribe_silently(socket, readable_after)
            finally:
                self._drop_idle(subscribers)

    async def subscribe(self, socket: Socket, name: str, point: ResumePoint) -> None:
        """Subscribe the socket to a stream as its client has asked for; raise NotFound if the user
        may not read it. See StreamSubscribers.subscribe.

        The sweep must not subscribe it meanwhile, nor when this has failed, after which a client
        asks again: it would send all that the stream has ever told.
        """
        self.unsubscribe(socket, name)
        socket.revoked.discard(name)
        socket.declined.discard(name)
        user = socket.identity.user_id
        readable_after = (await in_thread(readers_of, name, [user])).get(user)
        if readable_after is not None:
            socket.declined.add(name)
            await self._resume(socket, name, replace(point, readable_after=readable_after))
            socket.declined.discard(name)
        if name not in socket.streams and not socket.closed:
            raise NotFound("There is no such stream")

    def decline(self, socket: Socket, name: str) -> None:
        """Unsubscribe the socket as its client has asked for, until it asks for the opposite."""
        self.unsubscribe(socket, name)
        socket.declined.add(name)

    def unsubscribe(self, socket: Socket, name: str) -> None:
        """Let the socket go from the stream."""
        socket.streams.discard(name)
        subscribers = self._subscribers.get(name)
        if subscribers is not None:
            subscribers.unsubscribe(socket)
            self._drop_idle(subscribers)

    def heads_of(self, socket: Socket) -> dict[str, int]:
        """Return the last number of each stream that the socket is subscribed to."""
        return {
            name: self._subscribers[name].position
            for name in socket.streams
            if name in self._subscribers
        }

    # What other processes say of users.

    async def subscribe_users(self, users: Collection[UUID], name: str) -> None:
        """Subscribe the sockets here of those of the users who may read the stream, from the first
        event on that they may read."""
        sockets = [
            socket
            for user in users
            for socket in self._by_user.get(user, ())
            if name not in socket.streams | socket.declined
        ]
        for socket in sockets:
            socket.revoked.discard(name)
        asked = {socket.identity.user_id for socket in sockets}
        readers = await in_thread(readers_of, name, asked) if asked else {}
        for socket in sockets:
            readable_after = readers.get(socket.identity.user_id)
            here = socket in self._by_user.get(socket.identity.user_id, ())
            if readable_after is not None and here:
                self._waiting[socket][name] = readable_after
                if socket.welcomed:
                    self.welcomed(socket)

    def welcomed(self, socket: Socket) -> None:
        """Subscribe a socket that has got its first frame to what it was to be subscribed to."""
        for name, readable_after in self._waiting.pop(socket, {}).items():
            if name not in socket.streams and (socket, name) not in self._joining:
                self._joining.add((socket, name))
                # Each by itself: who is slow to take what they missed holds up nobody else.
                self._spawn(self._bring_in(socket, name, readable_after))

    async def _bring_in(self, socket: Socket, name: str, readable_after: int) -> None:
        try:
            point = ResumePoint(after=readable_after, readable_after=readable_after)
            await self._resume(socket, name, point)
        except Exception:
            # The sweep tries again.
            log.warning("not subscribed", stream=name, exc_info=True)
        finally:
            self._joining.discard((socket, name))

    def revoke(self, user: UUID, name: str) -> None:
        """Let no socket here of the user be subscribed to the stream any more."""
        for socket in tuple(self._by_user.get(user, ())):
            socket.revoked.add(name)
            self._waiting.get(socket, {}).pop(name, None)
            socket.declined.discard(name)
            if name in socket.streams:
                self.unsubscribe(socket, name)
                socket.push(Unsubscribed(stream=name).render())

    async def sweep(self) -> None:
        """Ask for all users here where they belong, and subscribe and revoke what was missed."""
        users = list(self._by_user)
        for start in range(0, len(users), USERS_AT_ONCE):
            await self._sweep(users[start : start + USERS_AT_ONCE])

    async def _sweep(self, users: Collection[UUID]) -> None:
        # What was subscribed to before the question was allowed before it as well.
        before = {
            socket: frozenset(socket.streams)
            for user in users
            for socket in self._by_user.get(user, ())
        }
        standing = await in_thread(standing_of, users)
        missed: defaultdict[str, set[UUID]] = defaultdict(set)
        doubtful: defaultdict[str, set[UUID]] = defaultdict(set)
        for socket, names in before.items():
            user = socket.identity.user_id
            for name in standing[user].keys() - names:
                missed[name].add(user)
            for name in names - standing[user].keys():
                doubtful[name].add(user)
        for name, user in await in_thread(_not_allowed, doubtful):
            self.revoke(user, name)
        for name, of_name in missed.items():
            await self.subscribe_users(of_name, name)

    # What the streams say.

    def take(self, frame: Frame) -> None:
        """Hand a frame to the sockets here that are subscribed to its stream."""
        subscribers = self._subscribers.get(frame.stream)
        if subscribers is not None:
            subscribers.take(frame)

    def notice_head(self, name: str, head: int) -> None:
        """Learn how far a stream has got."""
        if name in self._subscribers:
            self._subscribers[name].notice_head(head)

    async def heal(self) -> None:
        """Compare the streams here with the log."""
        stood_at = {name: subscribers.position for name, subscribers in self._subscribers.items()}
        for name, (head, epoch) in (await in_thread(heads, list(stood_at))).items():
            if name in self._subscribers:
                self._subscribers[name].compare(head, epoch, stood_at[name])

    async def _resume(self, socket: Socket, name: str, point: ResumePoint) -> None:
        subscribers = self._subscribers_of(name)
        try:
            await subscribers.subscribe(socket, point)
        finally:
            self._drop_idle(subscribers)

    def _subscribers_of(
        self, name: str, asked: "asyncio.Future[Any] | None" = None
    ) -> StreamSubscribers:
        if name not in self._subscribers:
            place = asyncio.shield(asked) if asked else in_thread(heads, [name])
            self._subscribers[name] = StreamSubscribers(name, self._spawn, self._pages, place)
        return self._subscribers[name]

    def _drop_idle(self, subscribers: StreamSubscribers) -> None:
        if subscribers.idle:
            self._subscribers.pop(subscribers.name, None)


def _not_allowed(doubtful: Mapping[str, Collection[UUID]]) -> list[tuple[str, UUID]]:
    """Return those of the streams and users that do not belong together any more."""
    readers = {name: readers_of(name, users) for name, users in doubtful.items()}
    return [
        (name, user) for name, of in doubtful.items() for user in of if user not in readers[name]
    ]
