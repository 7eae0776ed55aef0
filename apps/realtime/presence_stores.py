"""The two places where it is kept who is online."""

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from apps.core.redis import RedisDown, key, with_redis
from apps.realtime.presence import (
    ALIVE_FOR,
    ANNOUNCED_WITHIN,
    GRACE,
    SOCKETS_PER_USER,
    Arrival,
    Departure,
    TooManySockets,
)
from apps.realtime.sockets import PresenceEntry

# Those who leave at once are told of in parts.
DEPARTURES = 500
# Departures that Redis is to hear of once it is back; of more it learns as their time runs out.
MOST_OWED = 10_000
# A socket that is there already is not turned away.
EVERY_SOCKET = 1_000_000


class LocalPresence:
    """Keeps it in this process, whose sockets never die without a word."""

    def __init__(self) -> None:
        self._devices: defaultdict[UUID, set[PresenceEntry]] = defaultdict(set)
        # The people without a socket, and the time at which their departure is to be told; then
        # those whose departure somebody is telling.
        self._leaving: dict[UUID, float] = {}
        self._told_until: dict[UUID, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def enter(self, entry: PresenceEntry) -> Arrival | None:
        """See PresenceStore."""
        with self._lock:
            own = self._devices[entry.user_id]
            if len(own) >= SOCKETS_PER_USER:
                raise TooManySockets
            was_online = bool(own) or entry.user_id in self._leaving
            own.add(entry)
            self._leaving.pop(entry.user_id, None)
            self._told_until.pop(entry.user_id, None)
            return None if was_online else Arrival(entry.user_id, _microseconds())

    def leave(self, entry: PresenceEntry) -> None:
        """See PresenceStore."""
        with self._lock:
            own = self._devices[entry.user_id]
            if entry in own and len(own) == 1:
                self._leaving[entry.user_id] = time.time() + GRACE
            own.discard(entry)
            if not own:
                del self._devices[entry.user_id]

    def beat(self, entries: Iterable[PresenceEntry]) -> list[Arrival]:
        """See PresenceStore."""
        return []

    def departures(self, *, hurry: bool = False) -> list[Departure]:
        """See PresenceStore."""
        now = time.time()
        with self._lock:
            for user, due in list(self._leaving.items()):
                if hurry or due <= now:
                    del self._leaving[user]
                    self._told_until[user] = (due - GRACE, 0.0)
            left = [(user, at) for user, (at, until) in self._told_until.items() if until <= now]
            for user, at in left:
                self._told_until[user] = (at, now + ANNOUNCED_WITHIN)
            return [Departure(user, _moment(at), _microseconds()) for user, at in left]

    def announced(self, user_id: UUID) -> None:
        """See PresenceStore."""
        with self._lock:
            self._told_until.pop(user_id, None)

    def online(self, users: Iterable[UUID]) -> set[UUID]:
        """See PresenceStore."""
        now = time.time()
        with self._lock:
            return {
                user
                for user in users
                if user in self._devices or self._leaving.get(user, 0.0) > now
            }

    def sockets(self, user_id: UUID) -> Counter[UUID]:
        """See PresenceStore."""
        with self._lock:
            return Counter(entry.session_id for entry in self._devices.get(user_id, ()))


class RedisPresence:
    """Keeps it in Redis for all processes; while Redis is down each knows its own sockets.

    presence:online holds every online person with the time until which they are;
    presence:<user> their sockets likewise; presence:leaving those whose departure a process is
    telling, with the time at which another one takes it up. Times are those of Redis, and a version
    is one in microseconds.
    """

    NOW = """
        local time = redis.call('TIME')
        local now = time[1] + time[2] / 1000000
        local version = string.format('%.0f', time[1] * 1000000 + time[2])
    """
    # Only who finds no room is worth a look at which sockets are dead. A process has no channel
    # either while it renews its link to Redis: until its next beat a person may have more then.
    # KEYS: the person's sockets, online, leaving.
    # ARGV: socket, person, seconds alive, most, process.
    ENTER = (
        NOW
        + """
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
        if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then
            -- Those that have missed a beat died with their machine.
            redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now + ARGV[3] / 2)
            for _, socket in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
                local process = string.match(socket, '[^:]+$')
                local channels = '*' .. process .. '*'
                if process ~= ARGV[5] and #redis.call('PUBSUB', 'CHANNELS', channels) == 0 then
                    redis.call('ZREM', KEYS[1], socket)
                end
            end
        end
        if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 'full' end
        local known = redis.call('ZSCORE', KEYS[2], ARGV[2])
        redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
        redis.call('EXPIRE', KEYS[1], ARGV[3])
        redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
        redis.call('ZREM', KEYS[3], ARGV[2])
        return known and '' or version
    """
    )
    # KEYS: the person's sockets, online. ARGV: socket, person, seconds of grace.
    LEAVE = (
        NOW
        + """
        redis.call('ZREM', KEYS[1], ARGV[1])
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
        if redis.call('ZCARD', KEYS[1]) == 0 then
            redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
        end
    """
    )
    # Of those whom several processes have for gone, each is returned to one of them.
    # KEYS: online, leaving. ARGV: seconds until another takes it up, seconds of grace, how many.
    DEPARTURES = (
        NOW
        + """
        local told = {}
        local function tell(user, left)
            redis.call('ZREM', KEYS[1], user)
            redis.call('ZADD', KEYS[2], now + ARGV[1], user)
            table.insert(told, user)
            table.insert(told, string.format('%.3f', left))
            table.insert(told, version)
        end
        for index, from in ipairs(KEYS) do
            local due = redis.call(
                'ZRANGEBYSCORE', from, '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[3])
            for i = 1, #due, 2 do tell(due[i], due[i + 1] - ARGV[index == 1 and 2 or 1]) end
        end
        return told
    """
    )

    def __init__(self) -> None:
        self._online = key("presence:online")
        self._leaving = key("presence:leaving")
        self._here = LocalPresence()
        # Those who left while Redis was down, which is to hear of it.
        self._owed: deque[PresenceEntry] = deque(maxlen=MOST_OWED)

    def enter(self, entry: PresenceEntry) -> Arrival | None:
        """See PresenceStore."""
        here = self._here.enter(entry)
        try:
            version = with_redis("session", partial(self._enter, entry=entry)).decode()
        except RedisDown:
            return here
        if version == "full":
            self._here.leave(entry)
            raise TooManySockets
        return Arrival(entry.user_id, int(version)) if version else None

    def leave(self, entry: PresenceEntry) -> None:
        """See PresenceStore."""
        self._here.leave(entry)
        try:
            self._leave(entry)
        except RedisDown:
            self._owed.append(entry)

    def beat(self, entries: Iterable[PresenceEntry]) -> list[Arrival]:
        """See PresenceStore."""
        alive = list(entries)

        def all_of_them(client: Any) -> list[bytes]:
            pipeline = client.pipeline(transaction=False)
            for entry in alive:
                self._enter(client, entry, most=EVERY_SOCKET, to=pipeline)
            versions: list[bytes] = pipeline.execute()
            return versions

        try:
            versions = with_redis("session", all_of_them) if alive else []
        except RedisDown:
            return []
        return [
            Arrival(entry.user_id, int(version))
            for entry, version in zip(alive, versions, strict=True)
            if version
        ]

    def departures(self, *, hurry: bool = False) -> list[Departure]:
        """See PresenceStore. Whom this process does not tell of, another one does."""
        here = self._here.departures(hurry=hurry)
        try:
            while self._owed:
                self._leave(self._owed[0])
                self._owed.popleft()
            told = with_redis(
                "session",
                lambda client: client.eval(
                    self.DEPARTURES,
                    2,
                    self._online,
                    self._leaving,
                    ANNOUNCED_WITHIN,
                    GRACE,
                    DEPARTURES,
                ),
            )
        except RedisDown:
            return here
        for departure in here:
            self._here.announced(departure.user_id)
        fields = [field.decode() for field in told]
        return [
            Departure(UUID(user), _moment(float(left)), int(version))
            for user, left, version in zip(fields[::3], fields[1::3], fields[2::3], strict=True)
        ]

    def announced(self, user_id: UUID) -> None:
        """See PresenceStore."""
        self._here.announced(user_id)
        with suppress(RedisDown):
            with_redis("session", lambda client: client.zrem(self._leaving, str(user_id)))

    def online(self, users: Iterable[UUID]) -> set[UUID]:
        """See PresenceStore."""
        asked = list(users)
        if not asked:
            return set()
        try:
            until = with_redis(
                "session",
                lambda client: client.zmscore(self._online, [str(user) for user in asked]),
            )
        except RedisDown:
            return self._here.online(asked)
        now = time.time()
        return {user for user, at in zip(asked, until, strict=True) if at is not None and at > now}

    def sockets(self, user_id: UUID) -> Counter[UUID]:
        """See PresenceStore."""
        try:
            members = with_redis(
                "session",
                lambda client: client.zrangebyscore(self._of(user_id), time.time(), "+inf"),
            )
        except RedisDown:
            return self._here.sockets(user_id)
        return Counter(UUID(member.decode().partition(":")[0]) for member in members)

    def _enter(
        self, client: Any, entry: PresenceEntry, most: int = SOCKETS_PER_USER, to: Any = None
    ) -> Any:
        keys = [self._of(entry.user_id), self._online, self._leaving]
        values = [entry.member, str(entry.user_id), ALIVE_FOR, most, entry.process]
        # Sent by its hash: a beat has thousands of them.
        return client.register_script(self.ENTER)(keys, values, client=to)

    def _leave(self, entry: PresenceEntry) -> None:
        keys = (self._of(entry.user_id), self._online)
        who = (entry.member, str(entry.user_id))
        with_redis("session", lambda client: client.eval(self.LEAVE, 2, *keys, *who, GRACE))

    def _of(self, user_id: UUID) -> str:
        return key(f"presence:{user_id}")


def _microseconds() -> int:
    return time.time_ns() // 1000


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
