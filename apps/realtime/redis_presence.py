"""Who is online, kept in Redis for all processes."""

import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from apps.core.redis import RedisDown, key, with_redis
from apps.realtime import presence
from apps.realtime.broker import PROCESSES
from apps.realtime.local_presence import LocalPresence
from apps.realtime.presence import Arrival, Departure, TooManySockets
from apps.realtime.sockets import PresenceEntry

# How many departures one call returns.
DEPARTURES_AT_ONCE = 500
# How many sockets that were closed while Redis was down are removed there once it is back. Of more
# it learns when they are not refreshed.
UNREMOVED_ENTRIES = 10_000
# The limit for a refresh: a socket that is open already is not refused.
NO_LIMIT = 1_000_000


class RedisPresence:
    """Keeps the sockets of all processes; while Redis is down, each process knows its own.

    presence:online holds every user who is online, with the time until which they are;
    presence:<user> their sockets likewise; presence:leaving the users whose departure a process
    announces, with the time at which another process retries it. Times are those of Redis, and a
    version is such a time in microseconds.
    """

    NOW = """
        local time = redis.call('TIME')
        local now = time[1] + time[2] / 1000000
        local version = string.format('%.0f', time[1] * 1000000 + time[2])
    """
    # Dead sockets are looked for only when the user has no room for another one. A process that is
    # renewing its connection to Redis has no channel and looks dead: until its next refresh its
    # users may have more sockets than the limit.
    # KEYS: the user's sockets, online, leaving.
    # ARGV: socket, user, seconds alive, limit, process, prefix of the channels of processes.
    ENTER = (
        NOW
        + """
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
        if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then
            -- Sockets that missed a refresh died with their machine.
            redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now + ARGV[3] / 2)
            for _, socket in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
                local process = string.match(socket, '[^:]+$')
                local channel = ARGV[6] .. process
                if process ~= ARGV[5] and redis.call('PUBSUB', 'NUMSUB', channel)[2] == 0 then
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
    # KEYS: the user's sockets, online. ARGV: socket, user, seconds of grace.
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
    # Each departure is returned to one process.
    # KEYS: online, leaving. ARGV: seconds until a retry, seconds of grace, how many.
    DEPARTURES = (
        NOW
        + """
        local departures = {}
        local function add(user, left)
            redis.call('ZREM', KEYS[1], user)
            redis.call('ZADD', KEYS[2], now + ARGV[1], user)
            table.insert(departures, user)
            table.insert(departures, string.format('%.3f', left))
            table.insert(departures, version)
        end
        for index, from in ipairs(KEYS) do
            local due = redis.call(
                'ZRANGEBYSCORE', from, '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[3])
            for i = 1, #due, 2 do add(due[i], due[i + 1] - ARGV[index == 1 and 2 or 1]) end
        end
        return departures
    """
    )

    def __init__(self) -> None:
        self._online = key("presence:online")
        self._leaving = key("presence:leaving")
        self._local = LocalPresence()
        # The sockets that were closed while Redis was down.
        self._unremoved: deque[PresenceEntry] = deque(maxlen=UNREMOVED_ENTRIES)

    def enter(self, entry: PresenceEntry) -> Arrival | None:
        """See PresenceStore."""
        local_arrival = self._local.enter(entry)
        try:
            version = with_redis("session", partial(self._enter, entry=entry)).decode()
        except RedisDown:
            return local_arrival
        if version == "full":
            self._local.leave(entry)
            raise TooManySockets
        return Arrival(entry.user_id, int(version)) if version else None

    def leave(self, entry: PresenceEntry) -> None:
        """See PresenceStore."""
        self._local.leave(entry)
        try:
            self._leave(entry)
        except RedisDown:
            self._unremoved.append(entry)

    def refresh(self, entries: Iterable[PresenceEntry]) -> list[Arrival]:
        """See PresenceStore."""
        alive = list(entries)

        def refresh_all(client: Any) -> list[bytes]:
            pipeline = client.pipeline(transaction=False)
            for entry in alive:
                self._enter(client, entry, limit=NO_LIMIT, to=pipeline)
            versions: list[bytes] = pipeline.execute()
            return versions

        try:
            versions = with_redis("session", refresh_all) if alive else []
        except RedisDown:
            return []
        return [
            Arrival(entry.user_id, int(version))
            for entry, version in zip(alive, versions, strict=True)
            if version
        ]

    def departures(self, *, hurry: bool = False) -> list[Departure]:
        """See PresenceStore. What this process does not announce, another one does."""
        local_departures = self._local.departures(hurry=hurry)
        try:
            while self._unremoved:
                self._leave(self._unremoved[0])
                self._unremoved.popleft()
            packed = with_redis(
                "session",
                lambda client: client.eval(
                    self.DEPARTURES,
                    2,
                    self._online,
                    self._leaving,
                    presence.RETRY_ANNOUNCEMENT_SECONDS,
                    presence.GRACE_SECONDS,
                    DEPARTURES_AT_ONCE,
                ),
            )
        except RedisDown:
            return local_departures
        for departure in local_departures:
            self._local.mark_announced(departure.user_id)
        fields = [field.decode() for field in packed]
        return [
            Departure(UUID(user), datetime.fromtimestamp(float(left), UTC), int(version))
            for user, left, version in zip(fields[::3], fields[1::3], fields[2::3], strict=True)
        ]

    def mark_announced(self, user_id: UUID) -> None:
        """See PresenceStore."""
        self._local.mark_announced(user_id)
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
            return self._local.online(asked)
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
            return self._local.sockets(user_id)
        return Counter(UUID(member.decode().partition(":")[0]) for member in members)

    def _enter(
        self,
        client: Any,
        entry: PresenceEntry,
        limit: int = presence.SOCKETS_PER_USER,
        to: Any = None,
    ) -> Any:
        keys = [self._of(entry.user_id), self._online, self._leaving]
        values = [entry.member, str(entry.user_id), presence.ALIVE_SECONDS, limit]
        values += [entry.process, PROCESSES]
        # The script is sent as its hash: a refresh has thousands of calls.
        return client.register_script(self.ENTER)(keys, values, client=to)

    def _leave(self, entry: PresenceEntry) -> None:
        keys = (self._of(entry.user_id), self._online)
        values = (entry.member, str(entry.user_id), presence.GRACE_SECONDS)
        with_redis("session", lambda client: client.eval(self.LEAVE, 2, *keys, *values))

    def _of(self, user_id: UUID) -> str:
        return key(f"presence:{user_id}")
