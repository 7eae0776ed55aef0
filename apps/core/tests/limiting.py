"""Helpers for tests of limiters."""

from collections.abc import Callable

from apps.core import redis as core_redis
from apps.core.ratelimit import Limit, Limiter, digest
from apps.core.redis_limiter import RedisLimiter
from testing.server import until

SMALL = Limit(rate=1 / 3600, burst=10)
LARGE = Limit(rate=1 / 3600, burst=200)

Processes = Callable[[], RedisLimiter]


def passes(limiter: Limiter, key: str, limit: Limit) -> bool:
    return limit.allows(limiter.take([key], limit)[0])


def count(limiter: Limiter, key: str, limit: Limit) -> int:
    """Return how many requests pass at once."""
    return next(n for n in range(10_000) if not passes(limiter, key, limit))


def settle(*limiters: RedisLimiter) -> None:
    """Wait until the limiters have sent all their reports."""
    until(lambda: not sum(map(hurry, limiters)))


def hurry(one: RedisLimiter) -> bool:
    """Make the limiter report now; return whether a report is still under way."""
    one._urgent.set()
    return one._reporting


def stored_key(key: str) -> str:
    """Return the name of a limiter's key in Redis."""
    return core_redis.key(f"limit:{digest(key)}")
