"""Redis, for callers that can do without it for a while."""

import threading
import time
from collections.abc import Callable
from queue import Empty
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django_redis import get_redis_connection
from django_redis.exceptions import ConnectionInterrupted
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

log = structlog.get_logger(__name__)

T = TypeVar("T")

# After a failure no call uses Redis. The probe waits this long before each ping, in seconds, so a
# Redis that is often slow costs a process one short wait per interval, and no more.
PROBE_SECONDS = 1.0
# The least time between two log lines about refusals, in seconds.
REFUSAL_LOG_SECONDS = 5.0
# How long a server that starts waits for Redis before it says that it is away.
START_SECONDS = 1.0


class RedisDown(Exception):
    """Redis did not answer, now or a moment ago, or it refused the command."""


class Breaker:
    """A circuit breaker in front of Redis. All cache aliases are one server and share it.

    It is open from a failure until the probe finds that Redis answers again.
    """

    def __init__(self) -> None:
        self.open = False
        self._lock = threading.Lock()
        self._next_log_at = 0.0

    def trip(self) -> bool:
        """Open the breaker; return whether it was closed before."""
        with self._lock:
            was_open, self.open = self.open, True
            return not was_open

    def reset(self) -> None:
        """Close the breaker, so that calls use Redis again."""
        with self._lock:
            self.open = False

    def log_refusal(self, **what: str) -> None:
        """Log a refusal, unless one was logged a moment ago."""
        with self._lock:
            if time.monotonic() < self._next_log_at:
                return
            self._next_log_at = time.monotonic() + REFUSAL_LOG_SECONDS
        log.warning("redis refuses", **what)


breaker = Breaker()


def key(name: str) -> str:
    """Return the name of a key, with a prefix that separates installations on the same Redis."""
    return f"{settings.APP_NAME}:{name}"


def with_redis(alias: str, operation: Callable[[Any], T]) -> T:
    """Return the result of the operation with the client of that cache alias; raise RedisDown."""
    if breaker.open:
        raise RedisDown
    try:
        return operation(get_redis_connection(alias))
    except ResponseError as error:
        # A full Redis refuses writes, for example. A refusal takes no time, so the breaker stays
        # closed.
        breaker.log_refusal(alias=alias, error=type(error).__name__)
        raise RedisDown from error
    except (RedisError, ConnectionInterrupted, OSError) as error:
        # Only the probe closes the breaker. An earlier call may be answered after the failure, so
        # an answer proves nothing, and a trial call would delay a request.
        if breaker.trip():
            log.warning("redis is down", alias=alias, error=type(error).__name__)
            _close_idle_connections()
            _start_probe(breaker)
        raise RedisDown from error


def why_redis_is_away() -> str:
    """Return why the Redis of the settings cannot be used now; an empty string if it can, or if
    there is none. Nothing else learns of it."""
    if not settings.REDIS_URL:
        return ""
    once = Retry(NoBackoff(), retries=0)
    wait = {"socket_timeout": START_SECONDS, "socket_connect_timeout": START_SECONDS}
    with Redis.from_url(settings.REDIS_URL, retry=once, **wait) as client:
        try:
            client.ping()
        except (RedisError, OSError) as error:
            return str(error).rstrip(". ")
    return ""


def _start_probe(tripped: Breaker) -> None:
    threading.Thread(target=_probe, args=(tripped,), name="redis probe", daemon=True).start()


def _probe(tripped: Breaker) -> None:
    """Ping Redis with the time-out of a request until it answers; then close the breaker."""
    while tripped.open:
        time.sleep(PROBE_SECONDS)
        try:
            get_redis_connection("main").ping()
        except Exception as error:  # noqa: BLE001
            log.debug("redis is still down", error=type(error).__name__)
        else:
            log.info("redis is back")
            tripped.reset()


def _close_idle_connections() -> None:
    """Close the idle connections. If one connection has died silently, the others may have died as
    well; each of them would cost a request a time-out and trip the breaker again."""
    for alias in settings.CACHES:
        free = get_redis_connection(alias).connection_pool.pool
        taken = []
        # No other thread uses a connection while it is out of the queue.
        while True:
            try:
                taken.append(free.get_nowait())
            except Empty:
                break
        for connection in taken:
            if connection is not None:
                connection.disconnect()
            free.put_nowait(connection)
