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

# After a failure Redis is left alone. How long the probe waits before each look at it, in seconds:
# one that is often slow costs a process one short wait in this time, and no more.
PROBE_SECONDS = 1.0
# How often a line is written about refusals at the most, in seconds.
COMPLAINT_SECONDS = 5.0


class RedisDown(Exception):
    """Redis did not answer, now or a moment ago, or it said no."""


class Breaker:
    """Whether Redis may be asked. All aliases are one server, and go without it together.

    It is open from a failure until the probe has found that Redis answers again.
    """

    def __init__(self) -> None:
        self.open = False
        self._lock = threading.Lock()
        self._next_word = 0.0

    def trip(self) -> bool:
        """Have Redis left alone; return whether this call is the one that did it."""
        with self._lock:
            was_open, self.open = self.open, True
            return not was_open

    def reset(self) -> None:
        """Let everybody ask again."""
        with self._lock:
            self.open = False

    def complain(self, **what: str) -> None:
        """Write a line about a refusal, unless one was written a moment ago."""
        with self._lock:
            if time.monotonic() < self._next_word:
                return
            self._next_word = time.monotonic() + COMPLAINT_SECONDS
        log.warning("redis refuses", **what)


breaker = Breaker()


def key(name: str) -> str:
    """Return the name of a key, apart from those of other installations on the same Redis."""
    return f"{settings.APP_NAME}:{name}"


def with_redis(alias: str, operation: Callable[[Any], T]) -> T:
    """Return what the operation makes of the client of that cache alias; raise RedisDown."""
    if breaker.open:
        raise RedisDown
    try:
        return operation(get_redis_connection(alias))
    except ResponseError as error:
        # A refusal, such as that of a full Redis to write, took no time: others need no pause.
        breaker.complain(alias=alias, error=type(error).__name__)
        raise RedisDown from error
    except (RedisError, ConnectionInterrupted, OSError) as error:
        # Only the probe finds out when Redis is back: a call that was made before the failure may
        # be answered after it, and one that is made to try would hold up a request.
        if breaker.trip():
            log.warning("redis is down", alias=alias, error=type(error).__name__)
            _hang_up()
            _start_probe(breaker)
        raise RedisDown from error


def _start_probe(tripped: Breaker) -> None:
    threading.Thread(target=_probe, args=(tripped,), name="redis probe", daemon=True).start()


def _probe(tripped: Breaker) -> None:
    """Look again and again whether Redis answers, with the patience that a request has; have it
    asked again when it does."""
    while tripped.open:
        time.sleep(PROBE_SECONDS)
        try:
            get_redis_connection("main").ping()
        except Exception as error:  # noqa: BLE001
            log.debug("redis is still down", error=type(error).__name__)
        else:
            log.info("redis is back")
            tripped.reset()


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
