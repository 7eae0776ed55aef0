"""The limiter of several processes: they share allowances through Redis, and rarely wait for it.

A process counts a request by what it knows and reports it to Redis a moment later, in a thread of
its own; the answer tells it what the others have taken. Only when it is as far ahead of Redis as it
may be, which for a small limit is at once, does it ask and wait.
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
from apps.core.ratelimit import Limit, LocalLimiter, digest
from apps.core.redis import RedisDown, with_redis

log = structlog.get_logger(__name__)

# Of each key a process may let pass so many of which Redis has not told it yet that they are
# counted: a tenth of the burst, but none of a limit this small, which stays exact.
MOST_AHEAD = 20
SMALL_BURST = 100
# How long what passed is gathered for one report, in seconds, unless a key needs it sooner.
GATHER_SECONDS = 0.05
# What has passed already is counted whatever the allowance.
WHATEVER = 1e9


def most_ahead(limit: Limit) -> int:
    """Return how many requests of a key a process may be ahead of Redis."""
    return min(MOST_AHEAD, limit.burst // 10) if limit.burst > SMALL_BURST else 0


@dataclass
class Charge:
    """What Redis is to count: so many of a key, the first of which passed at a time of this
    process's clock, unless they take more than an allowance of so many seconds."""

    key: str
    limit: Limit
    allowance: float
    since: float
    count: int = 1


class RedisLimiter(LocalLimiter):
    """Keeps the times in Redis, by its clock, and in this process what is known of them."""

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
        # What has passed here: what Redis is told next, and what it has not answered yet.
        self._gathered: dict[str, Charge] = {}
        self._reported: dict[str, Charge] = {}
        self._gather_seconds = GATHER_SECONDS
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="limits")
        self._reporting = False
        self._urgent = threading.Event()

    def take(self, keys: Sequence[str], limit: Limit) -> list[float]:
        """See Limiter. Waits for Redis only where this process would be too far ahead of it."""
        digests = [digest(key) for key in keys]
        with self._lock:
            now = time.monotonic()
            waits = [self._take(key, limit, now) for key in digests]
            unsure = [
                index
                for index, key in enumerate(digests)
                if limit.allows(waits[index]) and not self._report_later(key, limit, now)
            ]
            self._forget_some(len(keys), now)
        if unsure:
            answers = self._ask([digests[index] for index in unsure], limit, now)
            for index, wait in zip(unsure, answers, strict=False):
                waits[index] = wait
        return waits

    def _report_later(self, key: str, limit: Limit, now: float) -> bool:
        """Have one that passes here reported to Redis afterwards, and never when Redis is down;
        return False when it may pass only once Redis knows of it."""
        if core_redis.breaker.open:
            return True
        ahead = sum(part[key].count for part in (self._gathered, self._reported) if key in part)
        if ahead >= most_ahead(limit):
            return False
        self._gather(key, limit, now)
        return True

    def _ask(self, keys: Sequence[str], limit: Limit, now: float) -> list[float]:
        """Have Redis take one of each key, which was taken here. Nothing is returned when it does
        not answer: then what passed here passes."""
        try:
            waits = self._charge([Charge(key, limit, limit.allowance, now) for key in keys], now)
        except RedisDown:
            return []
        with self._lock:
            for key, wait in zip(keys, waits, strict=True):
                if limit.allows(wait):
                    self._learn(key, now + wait, limit)
                else:
                    # Nothing was taken there, and so nothing is here.
                    self._whole_at[key] = self._whole_at.get(key, now) - 1 / limit.rate
                    self._learn(key, now + wait - 1 / limit.rate, limit)
        return waits

    def _gather(self, key: str, limit: Limit, now: float) -> None:
        """Have Redis told, soon, that one has passed."""
        if key in self._gathered:
            self._gathered[key].count += 1
            if 2 * self._gathered[key].count >= most_ahead(limit):
                self._urgent.set()
        else:
            self._gathered[key] = Charge(key, limit, WHATEVER, now)
        if not self._reporting:
            self._reporting = True
            self._thread.submit(self._keep_reporting)

    def _keep_reporting(self) -> None:
        """Report what gathers, until nothing does any more."""
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
            # Redis never hears of them. This process knows them, and limits by that meanwhile.
            pass
        except Exception:
            log.exception("limits not reported")
        with self._lock:
            self._reported = {}
            for charge, wait in zip(charges, waits, strict=False):
                self._learn(charge.key, reported_at + wait, charge.limit)

    def _learn(self, key: str, whole_at: float, limit: Limit) -> None:
        """Learn from Redis when the allowance of a key is whole again; it does not know yet what
        is gathered here."""
        if key in self._gathered:
            whole_at += self._gathered[key].count / limit.rate
        if whole_at > self._whole_at.get(key, 0.0):
            self._whole_at[key] = whole_at
            self._whole_at.move_to_end(key)

    def _charge(self, charges: Sequence[Charge], now: float) -> list[float]:
        """Have Redis count; return for each key the seconds until it is whole again."""
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
