"""The limiter of several processes: they share allowances through Redis, and rarely wait for it.

A process counts a request by what it knows and reports it to Redis a moment later, in a thread of
its own; the answer says what the other processes have taken. A process asks Redis and waits only
when it is as far ahead of Redis as it may be, which for a small limit is always.
docs/decisions/0022-limits-ahead.md says how exact that is.
"""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog

from apps.core import redis as core_redis
from apps.core.ratelimit import Limit, LocalLimiter, digest, seconds_until_whole
from apps.core.redis import RedisDown, with_redis

log = structlog.get_logger(__name__)

# For each key a process may let this many requests pass that Redis has not acknowledged: a tenth of
# the burst, and none for a burst up to SMALL_BURST, whose limit stays exact.
SMALL_BURST = 100
# How long requests are gathered for one report, in seconds, unless a key needs it sooner. Each
# report takes the interpreter from the event loop several times.
GATHER_SECONDS = 0.5
# The allowance of a report: Redis counts what has passed already in any case.
UNLIMITED = 1e9


def most_ahead(limit: Limit) -> int:
    """Return how many requests per key a process may be ahead of Redis."""
    return limit.burst // 10 if limit.burst > SMALL_BURST else 0


@dataclass
class Charge:
    """Requests for Redis to count: `count` of a key, unless they exceed `allowance` seconds. The
    first of them passed at `since`, by this process's clock."""

    key: str
    limit: Limit
    allowance: float
    since: float
    count: int = 1


class RedisLimiter(LocalLimiter):
    """Stores the times in Redis, by its clock, and a copy of them in this process."""

    # Returns for each key the seconds until it is whole again. Times are whole microseconds, since
    # Redis cuts a script's numbers to integers. ARGV: cost, allowance and age of each key.
    SCRIPT = """
        local now = redis.call('TIME')
        now = now[1] * 1000000 + now[2]
        local waits = {}
        for i, key in ipairs(KEYS) do
            local cost, allowance, age = unpack(ARGV, 3 * i - 2, 3 * i)
            local whole_at = math.max(tonumber(redis.call('GET', key)) or 0, now - age) + cost
            waits[i] = whole_at - now
            if waits[i] > 0 and waits[i] <= tonumber(allowance) then
                local at = string.format('%.0f', whole_at)
                redis.call('SET', key, at, 'PX', math.ceil(waits[i] / 1000))
            end
        end
        return waits
    """

    def __init__(self) -> None:
        super().__init__()
        # Requests that passed here: those of the next report, and those of the report under way.
        self._gathered: dict[str, Charge] = {}
        self._reported: dict[str, Charge] = {}
        self._gather_seconds = GATHER_SECONDS
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="limits")
        self._reporting = False
        self._urgent = threading.Event()

    def take(self, keys: Sequence[str], limit: Limit) -> list[float]:
        """See Limiter. Waits for Redis only if this process would be too far ahead of it."""
        digests = [digest(key) for key in keys]
        with self._lock:
            now, known = time.monotonic(), len(self._whole_at)
            waits = [self._take(key, limit, now) for key in digests]
            unsure = [
                index
                for index, key in enumerate(digests)
                if limit.allows(waits[index]) and not self._report_later(key, limit, now)
            ]
            self._forget_some(known, now)
        if unsure:
            answers = self._ask([digests[index] for index in unsure], limit, now)
            for index, wait in zip(unsure, answers, strict=False):
                waits[index] = wait
        return waits

    def take_now(self, key: str, limit: Limit) -> bool:
        """See Limiter."""
        with self._lock:
            now, known, hashed = time.monotonic(), len(self._whole_at), digest(key)
            wait = seconds_until_whole(self._whole_at.get(hashed, 0.0), now, limit)
            if not limit.allows(wait) or not self._report_later(hashed, limit, now):
                return False
            self._pass(hashed, now + wait)
            self._forget_some(known, now)
            return True

    def _report_later(self, key: str, limit: Limit, now: float) -> bool:
        """Put a request that passes here into the next report, or into none while Redis is down;
        return False if Redis must count it before it passes."""
        if core_redis.breaker.open:
            return True
        gathered, reported = self._gathered.get(key), self._reported.get(key)
        ahead = (gathered.count if gathered else 0) + (reported.count if reported else 0)
        if ahead >= most_ahead(limit):
            return False
        self._gather(key, limit, now)
        return True

    def _ask(self, keys: Sequence[str], limit: Limit, now: float) -> list[float]:
        """Take one of each key in Redis, after it was taken here. Returns nothing when Redis does
        not answer: then the count of this process decides."""
        try:
            waits = self._charge([Charge(key, limit, limit.allowance, now) for key in keys], now)
        except RedisDown:
            return []
        with self._lock:
            for key, wait in zip(keys, waits, strict=True):
                if limit.allows(wait):
                    self._learn(key, now + wait, limit)
                else:
                    # Redis took nothing, so this process gives back what it took.
                    self._whole_at[key] = self._whole_at.get(key, now) - 1 / limit.rate
                    self._learn(key, now + wait - 1 / limit.rate, limit)
        return waits

    def _gather(self, key: str, limit: Limit, now: float) -> None:
        """Put one request into the next report to Redis."""
        if key in self._gathered:
            self._gathered[key].count += 1
            if 2 * self._gathered[key].count >= most_ahead(limit):
                self._urgent.set()
        else:
            self._gathered[key] = Charge(key, limit, UNLIMITED, now)
        if not self._reporting:
            self._reporting = True
            self._thread.submit(self._keep_reporting)

    def _keep_reporting(self) -> None:
        """Report what has gathered, until nothing is left."""
        while True:
            self._urgent.wait(self._gather_seconds)
            self._urgent.clear()
            with self._lock:
                self._reported, self._gathered = self._gathered, {}
                if not self._reported:
                    self._reporting = False
                    return
            self._report(list(self._reported.values()))

    def _report(self, charges: Sequence[Charge]) -> None:
        reported_at, waits = time.monotonic(), list[float]()
        try:
            waits = self._charge(charges, reported_at)
        except RedisDown:
            # Redis never learns of them. This process has counted them, and limits by its own count
            # while Redis is down.
            pass
        except Exception:
            log.exception("limits not reported")
        with self._lock:
            self._reported = {}
            for charge, wait in zip(charges, waits, strict=False):
                self._learn(charge.key, reported_at + wait, charge.limit)

    def _learn(self, key: str, whole_at: float, limit: Limit) -> None:
        """Store when the allowance of a key is whole again by what Redis says. The requests that
        are gathered here are added, since Redis does not know them yet."""
        if key in self._gathered:
            whole_at += self._gathered[key].count / limit.rate
        if whole_at > self._whole_at.get(key, 0.0):
            self._whole_at[key] = whole_at
            self._whole_at.move_to_end(key)

    def _charge(self, charges: Sequence[Charge], now: float) -> list[float]:
        """Count the charges in Redis; return for each the seconds until it is whole again."""
        keys = [core_redis.key(f"limit:{charge.key}") for charge in charges]
        numbers = [
            round(1e6 * seconds)
            for one in charges
            for seconds in (one.count / one.limit.rate, one.allowance, now - one.since)
        ]

        def run(client: Any) -> list[int]:
            waits: list[int] = client.register_script(self.SCRIPT)(keys, numbers)
            return waits

        return [wait / 1e6 for wait in with_redis("main", run)]
