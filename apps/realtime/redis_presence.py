"""Who is online, kept in Redis for all processes."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID

from apps.core.redis import RedisDown, key, with_redis
from apps.realtime import presence
from apps.realtime.broker import PROCESSES
from apps.realtime.local_presence import LocalPresence
from apps.realtime.presence import (
    ActivityChange,
    Arrival,
    Departure,
    Entered,
    PresenceChange,
    TooManySockets,
)
from apps.realtime.sockets import PresenceEntry

# How many departures one call returns.
DEPARTURES_AT_ONCE = 500
# How many sockets one script adds or removes: meanwhile Redis answers nobody else.
SOCKETS_AT_ONCE = 100
# How many sockets that were closed while Redis was down are removed there once it is back. Of more
# it learns when they are not refreshed.
UNREMOVED_ENTRIES = 10_000
# The limit for a refresh: a socket that is open already is not refused.
NO_LIMIT = 1_000_000


class RedisPresence:
    """Keeps the sockets of all processes; while Redis is down, each process knows its own.

    presence:online holds every user who is online, with the time until which they are;
    presence:<user> their sockets likewise; presence:leaving the users whose departure a process
    announces, with the time at which another process retries it; presence:away the users who are
    away from all of their devices, and presence:<user>:away those devices. Times are those of
    Redis, and a version is such a time in microseconds.
    """

    NOW = """
        local time = redis.call('TIME')
        local now = time[1] + time[2] / 1000000
        local version = string.format('%.0f', time[1] * 1000000 + time[2])
    """
    # Dead sockets are looked for only when the user has no room for another one. A process that is
    # renewing its connection to Redis has no channel and looks dead: until its next refresh its
    # users may have more sockets than the limit.
    # KEYS: online, leaving, away, then for each socket those of its user, and those that are away.
    # ARGV: seconds alive, limit, prefix of the channels of processes, then socket, user, process
    # and activity of each.
    ARRIVE = (
        NOW
        + """
        local alive, limit = ARGV[1], tonumber(ARGV[2])
        local function arrive(sockets, away, socket, user, own_process, activity)
            redis.call('ZREMRANGEBYSCORE', sockets, '-inf', now)
            if redis.call('ZCARD', sockets) >= limit then
                -- Sockets that missed a refresh died with their machine.
                redis.call('ZREMRANGEBYSCORE', sockets, '-inf', now + alive / 2)
                for _, other in ipairs(redis.call('ZRANGE', sockets, 0, -1)) do
                    local process = string.match(other, '[^:]+$')
                    local channel = ARGV[3] .. process
                    if process ~= own_process
                            and redis.call('PUBSUB', 'NUMSUB', channel)[2] == 0 then
                        redis.call('ZREM', sockets, other)
                    end
                end
            end
            if redis.call('ZCARD', sockets) >= limit then return 'full' end
            local known = redis.call('ZSCORE', KEYS[1], user)
            redis.call('ZADD', sockets, now + alive, socket)
            redis.call('EXPIRE', sockets, alive)
            redis.call('ZADD', KEYS[1], now + alive, user)
            redis.call('ZREM', KEYS[2], user)
            if activity == 'away' then
                redis.call('SADD', away, socket)
                redis.call('EXPIRE', away, alive)
                -- Sockets that left may still be among the away ones; those that are open count.
                if #redis.call('ZDIFF', 2, sockets, away) > 0 then activity = 'active' end
            else
                redis.call('SREM', away, socket)
            end
            local changed = redis.call(activity == 'away' and 'SADD' or 'SREM', KEYS[3], user) == 1
            if not known then return 'arrived ' .. activity .. ' ' .. version end
            return changed and 'changed ' .. activity .. ' ' .. version or ''
        end
        local entered = {}
        for i = 1, (#KEYS - 3) / 2 do
            local sockets, away = KEYS[2 * i + 2], KEYS[2 * i + 3]
            entered[i] = arrive(sockets, away, unpack(ARGV, 4 * i, 4 * i + 3))
        end
        return entered
    """
    )
    # KEYS: online, then the sockets of the user of each socket.
    # ARGV: seconds of grace, then socket and user of each.
    LEAVE = (
        NOW
        + """
        for i = 1, #KEYS - 1 do
            local sockets = KEYS[i + 1]
            redis.call('ZREM', sockets, ARGV[2 * i])
            redis.call('ZREMRANGEBYSCORE', sockets, '-inf', now)
            -- Other sockets may be those of a process that died: they count for as long as they do.
            local last = redis.call('ZREVRANGE', sockets, 0, 0, 'WITHSCORES')[2] or 0
            redis.call('ZADD', KEYS[1], math.max(now + ARGV[1], last), ARGV[2 * i + 1])
        end
    """
    )
    # Each departure is returned to one process.
    # KEYS: online, leaving, away. ARGV: seconds until a retry, seconds of grace, how many.
    DEPARTURES = (
        NOW
        + """
        local departures = {}
        local function add(user, left)
            redis.call('ZREM', KEYS[1], user)
            redis.call('ZADD', KEYS[2], now + ARGV[1], user)
            redis.call('SREM', KEYS[3], user)
            table.insert(departures, user)
            table.insert(departures, string.format('%.3f', left))
            table.insert(departures, version)
        end
        for index = 1, 2 do
            local due = redis.call(
                'ZRANGEBYSCORE', KEYS[index], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[3])
            for i = 1, #due, 2 do add(due[i], due[i + 1] - ARGV[index == 1 and 2 or 1]) end
        end
        return departures
    """
    )

    def __init__(self) -> None:
        self._online = key("presence:online")
        self._leaving = key("presence:leaving")
        self._away = key("presence:away")
        self._local = LocalPresence()
        # The sockets that were closed while Redis was down.
        self._unremoved: deque[PresenceEntry] = deque(maxlen=UNREMOVED_ENTRIES)

    def arrive(self, entries: Sequence[PresenceEntry]) -> list[Entered]:
        """See PresenceStore."""
        entered = self._local.arrive(entries)
        # A process that has as many sockets of a user as they may have need not ask.
        asked = [
            (at, entry)
            for at, (entry, one) in enumerate(zip(entries, entered, strict=True))
            if not isinstance(one, TooManySockets)
        ]
        try:
            answers = self._arrive([entry for _, entry in asked], presence.SOCKETS_PER_USER)
        except RedisDown:
            return entered
        for (at, _), answer in zip(asked, answers, strict=True):
            entered[at] = answer
        self._local.leave(
            [entries[at] for at, _ in asked if isinstance(entered[at], TooManySockets)]
        )
        return entered

    def leave(self, entries: Sequence[PresenceEntry]) -> None:
        """See PresenceStore."""
        self._local.leave(entries)
        try:
            self._leave(entries)
        except RedisDown:
            self._unremoved.extend(entries)

    def refresh(self, entries: Iterable[PresenceEntry]) -> list[PresenceChange]:
        """See PresenceStore."""
        alive = list(entries)
        local_changes = self._local.refresh(alive)
        try:
            entered = self._arrive(alive, NO_LIMIT)
        except RedisDown:
            return local_changes
        return [one for one in entered if isinstance(one, PresenceChange)]

    def departures(self, *, hurry: bool = False) -> list[Departure]:
        """See PresenceStore. What this process does not announce, another one does."""
        local_departures = self._local.departures(hurry=hurry)
        try:
            while unremoved := list(islice(self._unremoved, SOCKETS_AT_ONCE)):
                self._leave(unremoved)
                for _ in unremoved:
                    self._unremoved.popleft()
            packed = with_redis(
                "session",
                lambda client: client.eval(
                    self.DEPARTURES,
                    3,
                    self._online,
                    self._leaving,
                    self._away,
                    presence.RETRY_ANNOUNCEMENT_SECONDS,
                    presence.GRACE_SECONDS,
                    DEPARTURES_AT_ONCE,
                ),
            )
        except RedisDown:
            return local_departures
        self._local.mark_announced([departure.user_id for departure in local_departures])
        fields = [field.decode() for field in packed]
        return [
            Departure(UUID(user), datetime.fromtimestamp(float(left), UTC), int(version))
            for user, left, version in zip(fields[::3], fields[1::3], fields[2::3], strict=True)
        ]

    def mark_announced(self, users: Sequence[UUID]) -> None:
        """See PresenceStore."""
        self._local.mark_announced(users)
        with suppress(RedisDown):
            with_redis("session", lambda client: client.zrem(self._leaving, *map(str, users)))

    def online(self, users: Iterable[UUID]) -> set[UUID]:
        """See PresenceStore."""
        asked = list(users)
        if not asked:
            return set()
        names = [str(user) for user in asked]
        try:
            now, until = _with_time(lambda client: client.zmscore(self._online, names))
        except RedisDown:
            return self._local.online(asked)
        return {user for user, at in zip(asked, until, strict=True) if at is not None and at > now}

    def away(self, users: Iterable[UUID]) -> set[UUID]:
        """See PresenceStore."""
        asked = list(users)
        if not asked:
            return set()
        try:
            known = with_redis(
                "session",
                lambda client: client.smismember(self._away, [str(user) for user in asked]),
            )
        except RedisDown:
            return self._local.away(asked)
        return {user for user, is_away in zip(asked, known, strict=True) if is_away}

    def sockets(self, user_id: UUID) -> Counter[UUID]:
        """See PresenceStore."""
        name = self._of(user_id)
        try:
            now, members = _with_time(lambda client: client.zrange(name, 0, -1, withscores=True))
        except RedisDown:
            return self._local.sockets(user_id)
        return Counter(
            UUID(member.decode().partition(":")[0]) for member, until in members if until > now
        )

    def _arrive(self, entries: Sequence[PresenceEntry], limit: int) -> list[Entered]:
        entered: list[Entered] = []
        for part in _parts(entries):
            keys = [self._online, self._leaving, self._away]
            values: list[object] = [presence.ALIVE_SECONDS, limit, PROCESSES]
            for one in part:
                keys += [self._of(one.user_id), f"{self._of(one.user_id)}:away"]
                activity = "away" if one.away else "active"
                values += [one.member, str(one.user_id), one.process, activity]
            answers = self._run(self.ARRIVE, keys, values)
            entered += [
                _entered(one.user_id, answer) for one, answer in zip(part, answers, strict=True)
            ]
        return entered

    def _leave(self, entries: Sequence[PresenceEntry]) -> None:
        for part in _parts(entries):
            keys = [self._online, *(self._of(one.user_id) for one in part)]
            of_each = [value for one in part for value in (one.member, str(one.user_id))]
            self._run(self.LEAVE, keys, [presence.GRACE_SECONDS, *of_each])

    def _run(self, script: str, keys: Sequence[str], values: Sequence[object]) -> Any:
        return with_redis("session", lambda client: client.register_script(script)(keys, values))

    def _of(self, user_id: UUID) -> str:
        return key(f"presence:{user_id}")


def _with_time(ask: Callable[[Any], object]) -> tuple[float, Any]:
    """Return the time of Redis, since the clock of this process may differ, and what Redis answers
    to a command; raise RedisDown."""

    def ask_both(client: Any) -> Any:
        pipeline = client.pipeline(transaction=False)
        pipeline.time()
        ask(pipeline)
        return pipeline.execute()

    (seconds, microseconds), answer = with_redis("session", ask_both)
    return seconds + microseconds / 1_000_000, answer


def _parts(entries: Sequence[PresenceEntry]) -> Iterator[Sequence[PresenceEntry]]:
    for start in range(0, len(entries), SOCKETS_AT_ONCE):
        yield entries[start : start + SOCKETS_AT_ONCE]


def _entered(user_id: UUID, answer: bytes) -> Entered:
    if answer == b"full":
        return TooManySockets()
    if not answer:
        return None
    what, activity, version = answer.decode().split()
    kind = Arrival if what == "arrived" else ActivityChange
    return kind(user_id, int(version), activity == "away")
