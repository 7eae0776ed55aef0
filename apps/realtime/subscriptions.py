"""Which sockets of this process are subscribed to which streams.

The database decides whether a user may read a stream, and from which event on. It is asked before a
socket is subscribed. A control of another process is only a reason to ask, and the sweep asks again
in case a control was lost. A revocation is applied at once, and holds until the database is asked
again.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from apps.realtime.background import spawn
from apps.realtime.errors import StreamNotFound
from apps.realtime.event_log import heads
from apps.realtime.frames import Frame
from apps.realtime.pages import Pages
from apps.realtime.resume_points import ResumePoint
from apps.realtime.socket_frames import Unsubscribed
from apps.realtime.sockets import Subscriber
from apps.realtime.stream_subscribers import Heads, StreamSubscribers
from apps.realtime.streams import USER, automatic_streams_of, readers_of
from apps.realtime.threads import in_thread
from apps.realtime.together import Together

# For how many users one query of the sweep asks.
USERS_AT_ONCE = 500
# How many streams one query compares. For 10,000 names PostgreSQL reads the whole table.
STREAMS_AT_ONCE = 500

Listen = Callable[[Collection[str]], Awaitable[list[str]]]


class Subscriptions:
    """The streams that sockets here are subscribed to. Lives on one event loop.

    `listen` returns once this process receives what other processes publish on some streams, and
    on which of them it did not before.
    """

    def __init__(self, listen: Listen) -> None:
        self._listen = listen
        self._subscribers: dict[str, StreamSubscribers] = {}
        self._pages = Pages()
        self._by_user: defaultdict[UUID, set[Subscriber]] = defaultdict(set)
        # The streams that sockets are to be subscribed to once they are connected, with the event
        # after which their users may read.
        self._pending: defaultdict[Subscriber, dict[str, int]] = defaultdict(dict)
        self._starts = Together(self._find_starts)
        self._readers = Together(self._find_readers)
        # For each query for the heads of streams that is under way: the heads of the events that
        # came meanwhile and were for streams without a subscriber.
        self._missed: list[dict[str, int]] = []

    def add(self, socket: Subscriber) -> None:
        """Add a socket that is authenticated."""
        self._by_user[socket.identity.user_id].add(socket)

    def remove(self, socket: Subscriber) -> None:
        """Forget a socket."""
        of_user = self._by_user[socket.identity.user_id]
        of_user.discard(socket)
        if not of_user:
            del self._by_user[socket.identity.user_id]
        self._pending.pop(socket, None)
        for name in tuple(socket.streams):
            self._remove(socket, name)

    def needed(self) -> set[str]:
        """Return the streams of which this process is to receive what others publish: those with
        subscribers here, and those of the users here, which carry the controls about them."""
        return {*self._subscribers, *map(USER.name, self._by_user)}

    async def subscribe_at_start(self, socket: Subscriber) -> None:
        """Subscribe a new socket to the automatic streams of its user, from their positions on,
        without a frame.

        It is subscribed to all of them at one moment, with which this ends: its first frame names
        their positions, and no event may come before it.
        """
        automatic = await self._starts.ask(socket.identity.user_id)
        joining = [(self._subscribers_of(name), after) for name, after in automatic.items()]
        for subscribers, _ in joining:
            subscribers.hold()
        try:
            for subscribers, readable_after in joining:
                if not subscribers.has_reached(readable_after):
                    await subscribers.reach(readable_after)
            for subscribers, _ in joining:
                subscribers.join(socket)
        finally:
            for subscribers, _ in joining:
                subscribers.release()
                self._drop_idle(subscribers)

    async def _find_starts(self, users: Sequence[UUID]) -> list[Mapping[str, int]]:
        """Return the automatic streams of each of the users, whose subscribers exist then."""
        # Before the database is asked, so that no control about a user falls between the two.
        await self._listen([USER.name(user) for user in users])
        missed: dict[str, int] = {}
        self._missed.append(missed)
        try:
            automatic, found = await in_thread(_starts_of, users)
            if unheard := await self._listen(list(found)):
                found = {**found, **await in_thread(heads, unheard)}
        finally:
            self._missed = [one for one in self._missed if one is not missed]
        # No event is lost: nothing is awaited from here on until the subscribers exist.
        for name, (head, epoch) in found.items():
            if name not in self._subscribers:
                subscribers = self._subscribers[name] = StreamSubscribers(name, self._pages)
                subscribers.begin(head, epoch)
                subscribers.notice_head(missed.get(name, 0))
        return [automatic[user] for user in users]

    async def subscribe(self, socket: Subscriber, name: str, point: ResumePoint) -> None:
        """Subscribe the socket to a stream as its client asked; raise StreamNotFound if its user
        may not read it. See StreamSubscribers.subscribe.

        The sweep must not subscribe the socket meanwhile, nor after this failed, when the client
        asks again: it would send all events that the stream has. A stream that the socket never had
        is not remembered then, since its user may be made a reader of it later.
        """
        had = name in socket.streams or name in socket.catching_up or name in socket.opted_out
        self._remove(socket, name)
        socket.revoked.discard(name)
        socket.opted_out.add(name)
        user = socket.identity.user_id
        try:
            readable_after = await self._readers.ask((name, user))
            if readable_after is not None:
                await self._resume(socket, name, replace(point, readable_after=readable_after))
        except BaseException:
            if not had:
                socket.opted_out.discard(name)
            raise
        socket.opted_out.discard(name)
        if name not in socket.streams and not socket.closed:
            raise StreamNotFound

    async def _find_readers(self, asked: Sequence[tuple[str, UUID]]) -> list[int | None]:
        # As at the start, which not every subscriber has.
        await self._listen([USER.name(user) for _, user in asked])
        return await in_thread(_readable_after, asked)

    def unsubscribe(self, socket: Subscriber, name: str) -> None:
        """Unsubscribe the socket as its client asked, until it subscribes again."""
        # Other names are not kept, since a client may send any number of them.
        if name in socket.streams or name in socket.catching_up:
            self._remove(socket, name)
            socket.opted_out.add(name)

    def heads_of(self, socket: Subscriber) -> dict[str, int]:
        """Return the last number of each stream that the socket is subscribed to."""
        return {
            name: self._subscribers[name].position
            for name in socket.streams
            if name in self._subscribers
        }

    # Controls of any process, and the sweep for those that were lost.

    async def subscribe_users(self, users: Collection[UUID], name: str) -> None:
        """Subscribe the sockets here of those of the users who may read the stream, from the first
        event on that they may read."""
        sockets = [
            socket
            for user in users
            for socket in self._by_user.get(user, ())
            if socket.automatic and name not in socket.streams | socket.opted_out
        ]
        for socket in sockets:
            socket.revoked.discard(name)
        asked = {socket.identity.user_id for socket in sockets}
        readers = await in_thread(readers_of, name, asked) if asked else {}
        for socket in sockets:
            readable_after = readers.get(socket.identity.user_id)
            still_open = socket in self._by_user.get(socket.identity.user_id, ())
            if readable_after is not None and still_open:
                self._pending[socket][name] = readable_after
                if socket.connected:
                    self.subscribe_pending(socket)

    def subscribe_pending(self, socket: Subscriber) -> None:
        """Subscribe a connected socket to the streams that it is to be subscribed to."""
        for name, readable_after in self._pending.pop(socket, {}).items():
            if name not in socket.streams and name not in socket.catching_up:
                point = ResumePoint(after=readable_after, readable_after=readable_after)
                socket.catching_up[name] = point
                # Each runs by itself, so that a slow reader delays nobody else. What fails, the
                # sweep tries again.
                spawn(self._catch_up(socket, name, point))

    def revoke(self, user: UUID, name: str) -> None:
        """Unsubscribe all sockets of the user here from a stream that they may not read."""
        for socket in tuple(self._by_user.get(user, ())):
            socket.revoked.add(name)
            self._pending.get(socket, {}).pop(name, None)
            socket.opted_out.discard(name)
            if name in socket.streams or name in socket.catching_up:
                self._remove(socket, name)
                socket.tell(Unsubscribed(stream=name))

    async def sweep(self) -> None:
        """Compare the subscriptions of all users here with the database: subscribe and revoke where
        a control was lost."""
        users = list(self._by_user)
        for start in range(0, len(users), USERS_AT_ONCE):
            await self._sweep(users[start : start + USERS_AT_ONCE])

    async def _sweep(self, users: Collection[UUID]) -> None:
        # A stream that is subscribed to after the query was allowed by a later one.
        before = {
            socket: frozenset(socket.streams)
            for user in users
            for socket in self._by_user.get(user, ())
        }
        automatic = await in_thread(automatic_streams_of, users)
        missing: defaultdict[str, set[UUID]] = defaultdict(set)
        doubtful: defaultdict[str, set[UUID]] = defaultdict(set)
        for socket, names in before.items():
            user = socket.identity.user_id
            for name in automatic[user].keys() - names:
                missing[name].add(user)
            for name in names - automatic[user].keys():
                doubtful[name].add(user)
        for name, user in await in_thread(_not_allowed, doubtful):
            self.revoke(user, name)
        for name, of_name in missing.items():
            await self.subscribe_users(of_name, name)

    # Frames and heads of streams.

    def deliver(self, frame: Frame) -> None:
        """Deliver a frame to the sockets here that are subscribed to its stream."""
        subscribers = self._subscribers.get(frame.stream)
        if subscribers is not None:
            subscribers.deliver(frame)
        elif frame.seq is not None:
            self._note_missed(frame.stream, frame.seq)

    def notice_head(self, name: str, head: int) -> None:
        """Learn the head of a stream."""
        if name in self._subscribers:
            self._subscribers[name].notice_head(head)
        else:
            self._note_missed(name, head)

    def _note_missed(self, name: str, head: int) -> None:
        for missed in self._missed:
            missed[name] = max(head, missed.get(name, 0))

    async def heal(self) -> None:
        """Compare the streams here with the log."""
        names = list(self._subscribers)
        for start in range(0, len(names), STREAMS_AT_ONCE):
            await self._heal(names[start : start + STREAMS_AT_ONCE])

    async def _heal(self, names: Collection[str]) -> None:
        positions = {
            name: self._subscribers[name].position for name in names if name in self._subscribers
        }
        for name, (head, epoch) in (await in_thread(heads, list(positions))).items():
            if name in self._subscribers:
                self._subscribers[name].compare(head, epoch, positions[name])

    async def _resume(self, socket: Subscriber, name: str, point: ResumePoint) -> None:
        socket.catching_up[name] = point
        await self._catch_up(socket, name, point)

    async def _catch_up(self, socket: Subscriber, name: str, point: ResumePoint) -> None:
        subscribers = self._subscribers_of(name)
        try:
            await subscribers.subscribe(socket, point)
        finally:
            if socket.catching_up.get(name) is point:
                del socket.catching_up[name]
            self._drop_idle(subscribers)

    def _remove(self, socket: Subscriber, name: str) -> None:
        socket.streams.discard(name)
        socket.catching_up.pop(name, None)
        subscribers = self._subscribers.get(name)
        if subscribers is not None:
            subscribers.unsubscribe(socket)
            self._drop_idle(subscribers)

    def _subscribers_of(self, name: str) -> StreamSubscribers:
        if name not in self._subscribers:
            subscribers = self._subscribers[name] = StreamSubscribers(name, self._pages)
            subscribers.begin_after(self._listen_and_ask([name]))
        return self._subscribers[name]

    async def _listen_and_ask(self, names: list[str]) -> Heads:
        """Return the heads of the streams, asked for once this process receives what comes after
        them."""
        await self._listen(names)
        return await in_thread(heads, names)

    def _drop_idle(self, subscribers: StreamSubscribers) -> None:
        if subscribers.idle:
            self._subscribers.pop(subscribers.name, None)


def _starts_of(users: Sequence[UUID]) -> tuple[dict[UUID, dict[str, int]], Heads]:
    """Return the automatic streams of the users, and the heads of these streams."""
    automatic = automatic_streams_of(users)
    return automatic, heads({name for streams in automatic.values() for name in streams})


def _readable_after(asked: Sequence[tuple[str, UUID]]) -> list[int | None]:
    """Return for each stream and user after which event the user may read, None if they may not."""
    users: defaultdict[str, set[UUID]] = defaultdict(set)
    for name, user in asked:
        users[name].add(user)
    readers = {name: readers_of(name, of_name) for name, of_name in users.items()}
    return [readers[name].get(user) for name, user in asked]


def _not_allowed(doubtful: Mapping[str, Collection[UUID]]) -> list[tuple[str, UUID]]:
    """Return those of the streams and users where the user may not read the stream."""
    readers = {name: readers_of(name, users) for name, users in doubtful.items()}
    return [
        (name, user) for name, of in doubtful.items() for user in of if user not in readers[name]
    ]
