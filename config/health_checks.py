"""Whether the database and Redis answer, found out in the background: the request that asks for it
never waits for either (docs/decisions/0014-health.md)."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import structlog
from django.conf import settings
from django.db import close_old_connections, connection

from apps.core.redis import with_redis

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 2
# A check that hangs has no result. The last result counts for no longer than this.
STALE_SECONDS = 6
# How long a server that starts waits for the first results before it reports unhealthy.
FIRST_RESULT_SECONDS = 3


class HealthCheck:
    """Checks every INTERVAL_SECONDS whether a dependency answers, in a thread of its own.

    `check` raises when the dependency does not answer. Each dependency has its own thread, so that
    one that hangs does not delay the check of another.
    """

    def __init__(self, name: str, check: Callable[[], object]) -> None:
        self.first_result: Future[None] = Future()
        self._name = name
        self._check = check
        self._checked_at = 0.0
        self._passed = False
        self._stop = threading.Event()

    def start(self) -> None:
        """Start to check."""
        threading.Thread(target=self._work, name="health check", daemon=True).start()

    def stop(self) -> None:
        """Stop to check once the present check has ended."""
        self._stop.set()

    @property
    def healthy(self) -> bool:
        """Return whether the last check that ended has passed, and is not stale."""
        return self._passed and time.monotonic() - self._checked_at <= STALE_SECONDS

    @property
    def status(self) -> str:
        """Return healthy or unhealthy."""
        return "healthy" if self.healthy else "unhealthy"

    def _work(self) -> None:
        while not self._stop.is_set():
            error = _failure_of(self._check)
            if error and (self._passed or not self.first_result.done()):
                log.warning("does not answer", what=self._name, error=type(error).__name__)
            self._passed, self._checked_at = error is None, time.monotonic()
            if not self.first_result.done():
                self.first_result.set_result(None)
            self._stop.wait(INTERVAL_SECONDS)


class HealthChecks:
    """The checks of what this process depends on."""

    def __init__(self, database: HealthCheck, redis: HealthCheck | None) -> None:
        self._database = database
        self._redis = redis
        self._started = False

    @property
    def database(self) -> str:
        """Return healthy or unhealthy."""
        return self._database.status

    @property
    def redis(self) -> str:
        """Return healthy, unhealthy, or embedded for an installation without Redis."""
        return self._redis.status if self._redis is not None else "embedded"

    async def start(self) -> None:
        """Start the checks and wait a moment for their first results, so that the first response
        is true. Does nothing the second time."""
        if self._started:
            return
        self._started = True
        checks = [self._database, *([self._redis] if self._redis is not None else [])]
        for check in checks:
            check.start()
        results = [asyncio.wrap_future(check.first_result) for check in checks]
        await asyncio.wait(results, timeout=FIRST_RESULT_SECONDS)


def _failure_of(check: Callable[[], object]) -> Exception | None:
    try:
        check()
    except Exception as error:  # noqa: BLE001
        return error
    return None


def health_checks() -> HealthChecks:
    """Return the checks of the database and, if the settings name one, of Redis."""
    redis = HealthCheck("redis", ping_redis) if settings.REDIS_URL else None
    return HealthChecks(HealthCheck("database", query_database), redis)


def query_database() -> None:
    """Run a query; raise when the database does not answer."""
    close_old_connections()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def ping_redis() -> None:
    """Ping Redis; raise RedisDown when it does not answer."""
    with_redis("default", lambda client: client.ping())
