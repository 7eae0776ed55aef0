"""What tests of limiters do with them."""

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
    """Return how many pass at once."""
    return next(n for n in range(10_000) if not passes(limiter, key, limit))


def settled(*limiters: RedisLimiter) -> None:
    """Have them report all that they have to report, and wait until they have."""
    until(lambda: not sum(map(hurried, limiters)))


def hurried(one: RedisLimiter) -> bool:
    """Have the limiter report now; return whether it has something to report."""
    one._urgent.set()
    return one._reporting


def stored(key: str) -> str:
    """Return the name that Redis has for a key of the limiter."""
    return core_redis.key(f"limit:{digest(key)}")
