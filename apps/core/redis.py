"""Redis, for those who can do without it for a while."""

import threading
import time
from collections.abc import Callable
from queue import Empty
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django_redis import get_redis_connection
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError, ResponseError

log = structlog.get_logger(__name__)

T = TypeVar("T")

# A Redis that hangs would hold every request for its time-out; after one failure it is left alone
# for this long, in seconds. A server's own look at Redis (config/vitals.py) comes sooner than that,
# so that no request of a server pays for trying.
PAUSE = 5.0


class RedisDown(Exception):
    """Redis did not answer, now or a moment ago, or it said no."""


class Breaker:
    """Whether Redis may be asked. All aliases are one server, and go without it together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next_try: float | None = None
        self._next_word = 0.0

    def enter(self, *, in_pause: bool) -> bool:
        """Return whether this call is the one that tries, after a pause, how Redis is; raise
        RedisDown in a pause, unless that does not matter, and while another thread tries."""
        with self._lock:
            if self._next_try is None:
                return False
            now = time.monotonic()
            if now < self._next_try and not in_pause:
                raise RedisDown
            # As long as a try may take, the others go without.
            self._next_try = now + PAUSE
            return True

    def trip(self) -> None:
        """Have Redis left alone for a while."""
        with self._lock:
            self._next_try = time.monotonic() + PAUSE

    def reset(self) -> None:
        """Let everybody ask again."""
        with self._lock:
            self._next_try = None

    def complain(self, **what: str) -> None:
        """Write a line about a refusal, unless one was written a moment ago."""
        with self._lock:
            if time.monotonic() < self._next_word:
                return
            self._next_word = time.monotonic() + PAUSE
        log.warning("redis refuses", **what)


breaker = Breaker()


def key(name: str) -> str:
    """Return the name of a key, apart from those of other installations on the same Redis."""
    return f"{settings.APP_NAME}:{name}"


def with_redis(alias: str, operation: Callable[[Any], T], *, in_pause: bool = False) -> T:
    """Return what the operation makes of the client of that cache alias; raise RedisDown.

    `in_pause` is for those who have the time to try how Redis is.
    """
    tries = breaker.enter(in_pause=in_pause)
    try:
        result = operation(get_redis_connection(alias))
    except ResponseError as error:
        # A refusal, such as that of a full Redis to write, took no time: others need no pause.
        breaker.complain(alias=alias, error=type(error).__name__)
        if tries:
            breaker.reset()
        raise RedisDown from error
    except (RedisError, ConnectionInterrupted, OSError) as error:
        breaker.trip()
        log.warning("redis is down", alias=alias, error=type(error).__name__)
        _hang_up()
        raise RedisDown from error
    if tries:
        # Only then: one that was asked before the failure may be answered after it.
        breaker.reset()
    return result


def _hang_up() -> None:
    """Close the connections that nobody uses. Where one has died without a word the others may
    have as well, and each of them would cost somebody a time-out and all a pause."""
    for alias in settings.CACHES:
        free = get_redis_connection(alias).connection_pool.pool
        taken = []
        # Out of the queue a connection is ours alone.
        while True:
            try:
                taken.append(free.get_nowait())
            except Empty:
                break
        for connection in taken:
            if connection is not None:
                connection.disconnect()
            free.put_nowait(connection)
