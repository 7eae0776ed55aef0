"""The two places where it is kept who is online."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from apps.core.redis import RedisDown, key, with_redis
from apps.realtime.presence import ALIVE_FOR, SOCKETS_PER_USER
from apps.realtime.sockets import Device


class LocalPresence:
    """Keeps it in this process, whose sockets never die without a word."""

    def __init__(self) -> None:
        self._devices: defaultdict[UUID, set[Device]] = defaultdict(set)
        self._lock = threading.Lock()

    def enter(self, device: Device) -> int:
        """See Presence."""
        with self._lock:
            own = self._devices[device.user_id]
            if len(own) >= SOCKETS_PER_USER:
                return -1
            own.add(device)
            return len(own) - 1

    def leave(self, device: Device) -> bool:
        """See Presence."""
        with self._lock:
            own = self._devices[device.user_id]
            known = device in own
            own.discard(device)
            if not own:
                del self._devices[device.user_id]
            return known and not own

    def beat(self, devices: Iterable[Device]) -> list[UUID]:
        """See Presence."""
        return []

    def online(self, users: Iterable[UUID]) -> set[UUID]:
        """See Presence."""
        with self._lock:
            return {user for user in users if self._devices.get(user)}

    def sockets(self, user_id: UUID) -> Counter[UUID]:
        """See Presence."""
        with self._lock:
            return Counter(device.session_id for device in self._devices.get(user_id, ()))


class RedisPresence:
    """Keeps it in Redis for all processes; while Redis is down each knows its own sockets.

    presence:online holds every online person with the time until which he is; the set
    presence:<user> his sockets likewise. Times are those of Redis.
    """

    NOW = "local now = tonumber(redis.call('TIME')[1]) "
    ENTER = (
        NOW
        + """
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
        local before = redis.call('ZCARD', KEYS[1])
        if before >= tonumber(ARGV[3]) then return -1 end
        redis.call('ZADD', KEYS[1], now + ARGV[4], ARGV[1])
        redis.call('EXPIRE', KEYS[1], ARGV[4])
        redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[2])
        return before
    """
    )
    LEAVE = (
        NOW
        + """
        redis.call('ZREM', KEYS[1], ARGV[1])
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
        if redis.call('ZCARD', KEYS[1]) > 0 then return 0 end
        return redis.call('ZREM', KEYS[2], ARGV[2])
    """
    )
    BEAT = (
        NOW
        + """
        redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
        redis.call('EXPIRE', KEYS[1], ARGV[3])
        redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
    """
    )
    # Only one of the processes that ask gets to hear of each person whose time is over.
    EXPIRED = (
        NOW
        + """
        local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
        return gone
    """
    )

    def __init__(self) -> None:
        self._online = key("presence:online")
        self._here = LocalPresence()

    def enter(self, device: Device) -> int:
        """See Presence."""
        here = self._here.enter(device)
        if here < 0:
            return here
        try:
            before = with_redis(
                "session",
                lambda client: client.eval(
                    self.ENTER,
                    2,
                    self._key(device.user_id),
                    self._online,
                    device.member,
                    str(device.user_id),
                    SOCKETS_PER_USER,
                    ALIVE_FOR,
                ),
            )
        except RedisDown:
            return here
        if before < 0:
            self._here.leave(device)
        return int(before)

    def leave(self, device: Device) -> bool:
        """See Presence."""
        last_here = self._here.leave(device)
        try:
            last = with_redis(
                "session",
                lambda client: client.eval(
                    self.LEAVE,
                    2,
                    self._key(device.user_id),
                    self._online,
                    device.member,
                    str(device.user_id),
                ),
            )
        except RedisDown:
            return last_here
        return bool(last)

    def beat(self, devices: Iterable[Device]) -> list[UUID]:
        """See Presence."""

        def all_of_them(client: Any) -> list[bytes]:
            pipeline = client.pipeline(transaction=False)
            script = client.register_script(self.BEAT)
            for device in devices:
                keys = [self._key(device.user_id), self._online]
                script(keys, [device.member, str(device.user_id), ALIVE_FOR], client=pipeline)
            pipeline.execute()
            gone: list[bytes] = client.eval(self.EXPIRED, 1, self._online)
            return gone

        try:
            return [UUID(user.decode()) for user in with_redis("session", all_of_them)]
        except RedisDown:
            return []

    def online(self, users: Iterable[UUID]) -> set[UUID]:
        """See Presence."""
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
        """See Presence."""
        try:
            members = with_redis(
                "session",
                lambda client: client.zrangebyscore(self._key(user_id), time.time(), "+inf"),
            )
        except RedisDown:
            return self._here.sockets(user_id)
        return Counter(UUID(member.decode().partition(":")[0]) for member in members)

    def _key(self, user_id: UUID) -> str:
        return key(f"presence:{user_id}")
