"""Who is inside which room, kept in Redis for all processes."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any
from uuid import UUID

from apps.core.redis import RedisDown, key, with_redis
from apps.realtime import rooms
from apps.realtime.errors import RoomsUnavailable
from apps.realtime.rooms import RoomChange, RoomEntry

# How many devices one script adds or removes, or users it finds to be gone: meanwhile Redis answers
# nobody else.
AT_ONCE = 100


class RedisRooms:
    """Keeps the devices of all processes. While Redis is down, nobody enters a room.

    room:<room> holds the users who are inside with the time until which they are;
    room:<room>:<user> their devices likewise; rooms:until all users of all rooms. Times are those
    of Redis, and a version is such a time in microseconds. Every key ends by itself when nobody
    refreshes it.
    """

    NOW = """
        local time = redis.call('TIME')
        local now = time[1] + time[2] / 1000000
        local version = string.format('%.0f', time[1] * 1000000 + time[2])
        local changes = {}
        local function change(entry, users)
            table.insert(changes, {entry, version, redis.call('ZCARD', users)})
        end
    """
    # KEYS: until, then the users of the room and the devices of the user of each entry.
    # ARGV: seconds inside, then room, user and device of each.
    ENTER = (
        NOW
        + """
        local alive = ARGV[1]
        for i = 1, (#KEYS - 1) / 2 do
            local users, devices = KEYS[2 * i], KEYS[2 * i + 1]
            local room, user, device = unpack(ARGV, 3 * i - 1, 3 * i + 1)
            redis.call('ZADD', devices, now + alive, device)
            redis.call('EXPIRE', devices, alive)
            redis.call('ZADD', KEYS[1], now + alive, room .. ' ' .. user)
            local is_new = redis.call('ZADD', users, now + alive, user) == 1
            -- A user is gone when the time in KEYS[1] is over, and is then removed from here.
            redis.call('EXPIRE', users, 2 * alive)
            if is_new then change(i, users) end
        end
        redis.call('EXPIRE', KEYS[1], 2 * alive)
        return changes
    """
    )
    # An entry without a device is all devices of its user.
    # KEYS and ARGV are those of ENTER.
    LEAVE = (
        NOW
        + """
        for i = 1, (#KEYS - 1) / 2 do
            local users, devices = KEYS[2 * i], KEYS[2 * i + 1]
            local room, user, device = unpack(ARGV, 3 * i - 1, 3 * i + 1)
            redis.call('ZREM', devices, device)
            redis.call('ZREMRANGEBYSCORE', devices, '-inf', now)
            if device == '' then redis.call('DEL', devices) end
            local last = redis.call('ZREVRANGE', devices, 0, 0, 'WITHSCORES')[2]
            if last then
                redis.call('ZADD', KEYS[1], 'XX', last, room .. ' ' .. user)
                redis.call('ZADD', users, 'XX', last, user)
            else
                redis.call('ZREM', KEYS[1], room .. ' ' .. user)
                if redis.call('ZREM', users, user) == 1 then change(i, users) end
            end
        end
        return changes
    """
    )
    # Each user is returned to one process.
    # KEYS: until. ARGV: how many, the beginning of the names of the users of rooms.
    EXPIRED = (
        NOW
        + """
        local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
        for _, entry in ipairs(over) do
            local room, user = string.match(entry, '^(%S+) (%S+)$')
            redis.call('ZREM', KEYS[1], entry)
            redis.call('ZREM', ARGV[2] .. room, user)
            change(entry, ARGV[2] .. room)
        end
        return changes
    """
    )

    def __init__(self) -> None:
        self._until = key("rooms:until")

    def enter(self, entries: Sequence[RoomEntry]) -> list[RoomChange]:
        """See RoomStore."""
        return list(self._changes(self.ENTER, entries, inside=True))

    def leave(self, entries: Sequence[RoomEntry]) -> list[RoomChange]:
        """See RoomStore."""
        return list(self._changes(self.LEAVE, entries, inside=False))

    def expel(self, room: str, users: Collection[UUID]) -> list[RoomChange]:
        """See RoomStore."""
        return self.leave([RoomEntry(room, user, "") for user in users])

    def expired(self) -> list[RoomChange]:
        """See RoomStore."""
        changes: list[RoomChange] = []
        while True:
            found = self._run(self.EXPIRED, [self._until], [AT_ONCE, _users_of("")])
            for entry, version, count in found:
                room, user = entry.decode().split()
                changes.append(RoomChange(room, UUID(user), False, int(version), count))
            if len(found) < AT_ONCE:
                return changes

    def inside(self, room: str, most: int) -> list[UUID]:
        """See RoomStore."""
        # Those who are gone are removed within seconds, and until then are counted too.
        found = _available(lambda client: client.zrange(_users_of(room), 0, most - 1))
        return [UUID(user.decode()) for user in found]

    def count(self, room: str) -> int:
        """See RoomStore."""
        return int(_available(lambda client: client.zcard(_users_of(room))))

    def _changes(
        self, script: str, entries: Sequence[RoomEntry], *, inside: bool
    ) -> Iterator[RoomChange]:
        for start in range(0, len(entries), AT_ONCE):
            part = entries[start : start + AT_ONCE]
            keys = [self._until]
            values: list[object] = [rooms.INSIDE_SECONDS]
            for entry in part:
                keys += [_users_of(entry.room), f"{_users_of(entry.room)}:{entry.user_id}"]
                values += [entry.room, str(entry.user_id), entry.device]
            for number, version, count in self._run(script, keys, values):
                entry = part[number - 1]
                yield RoomChange(entry.room, entry.user_id, inside, int(version), count)

    def _run(self, script: str, keys: Sequence[str], values: Sequence[object]) -> Any:
        return _available(lambda client: client.register_script(script)(keys, values))


def _users_of(room: str) -> str:
    return key(f"room:{room}")


def _available(operation: Any) -> Any:
    """Return the result of the operation with Redis; raise RoomsUnavailable."""
    try:
        return with_redis("session", operation)
    except RedisDown as error:
        raise RoomsUnavailable from error
