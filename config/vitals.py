"""How the database and Redis are, known without asking them: what hangs must hold up nobody who
only wants to hear that it hangs (docs/decisions/0014-health.md)."""

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

LOOK_SECONDS = 2
# A look that hangs says nothing. What is known from before it counts for no longer than this.
STALE_SECONDS = 6
# How long a server that starts waits for the first look, before it says that all is unwell.
FIRST_LOOK_SECONDS = 3


class Pulse:
    """Looks again and again whether something answers, in a thread that nobody else needs.

    `look` raises when it does not. There is a pulse for each thing that is looked at, so that the
    one that hangs hides no other.
    """

    def __init__(self, name: str, look: Callable[[], object]) -> None:
        self.first_look: Future[None] = Future()
        self._name = name
        self._look = look
        self._seen_at = 0.0
        self._well = False
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._work, name="vitals", daemon=True).start()

    def stop(self) -> None:
        """Look no more, once the present look is over."""
        self._stop.set()

    @property
    def healthy(self) -> bool:
        """Return whether the last look that came to an end was good, and is not long ago."""
        return self._well and time.monotonic() - self._seen_at <= STALE_SECONDS

    def _work(self) -> None:
        while not self._stop.is_set():
            error = _failure_of(self._look)
            if error and (self._well or not self.first_look.done()):
                log.warning("does not answer", what=self._name, error=type(error).__name__)
            self._well, self._seen_at = error is None, time.monotonic()
            if not self.first_look.done():
                self.first_look.set_result(None)
            self._stop.wait(LOOK_SECONDS)


class Vitals:
    """The pulses of what this process depends on."""

    def __init__(self, database: Pulse, redis: Pulse | None) -> None:
        self._database = database
        self._redis = redis
        self._begun = False

    @property
    def database(self) -> str:
        """Return healthy or unhealthy."""
        return _word(self._database)

    @property
    def redis(self) -> str:
        """Return healthy, unhealthy, or embedded where there is no Redis to be either."""
        return _word(self._redis) if self._redis is not None else "embedded"

    async def begin(self) -> None:
        """Begin to look, and wait a moment for the first word, so that the first answer is true.

        Does nothing when it has begun already.
        """
        if self._begun:
            return
        self._begun = True
        pulses = [self._database, *([self._redis] if self._redis is not None else [])]
        for pulse in pulses:
            pulse.start()
        looks = [asyncio.wrap_future(pulse.first_look) for pulse in pulses]
        await asyncio.wait(looks, timeout=FIRST_LOOK_SECONDS)


def _failure_of(look: Callable[[], object]) -> Exception | None:
    try:
        look()
    except Exception as error:  # noqa: BLE001
        return error
    return None


def _word(pulse: Pulse) -> str:
    return "healthy" if pulse.healthy else "unhealthy"


def vitals_of_this_process() -> Vitals:
    """Return the vitals of the database and, where there is one, of Redis."""
    redis = Pulse("redis", ask_redis) if settings.REDIS_URL else None
    return Vitals(Pulse("database", ask_database), redis)


def ask_database() -> None:
    """Run a query; raise when the database does not."""
    close_old_connections()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def ask_redis() -> None:
    """Have Redis answer; raise RedisDown when it does not."""
    with_redis("default", lambda client: client.ping())
