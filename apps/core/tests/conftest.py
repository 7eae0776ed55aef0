"""Fixtures of the tests of core."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django_redis import get_redis_connection
from pytest_django import Settings

from apps.core import ratelimit, redis_limiter
from apps.core import redis as core_redis
from apps.core.ratelimit import limiter
from apps.core.redis_limiter import RedisLimiter
from apps.core.tests.limiting import Processes, settle
from testing.servers import PrivateRedis


@pytest.fixture
def network() -> str:
    """The first half of the addresses of a network that no other test uses."""
    return f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}"


@pytest.fixture
def address(network: str) -> str:
    return f"{network}::1"


@pytest.fixture
def dead_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every alias leads to a closed port; returns the aliases that were asked for a client."""
    # The limiter of an earlier test may still send a report over the connection that this fixture
    # counts.
    if isinstance(earlier := limiter(), RedisLimiter):
        earlier._thread.shutdown()
    dead = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": dead, "main": dead, "session": dead}
    settings.REDIS_URL = "redis://127.0.0.1:1"
    settings.LIMITER = "apps.core.redis_limiter.RedisLimiter"
    monkeypatch.setattr(core_redis, "breaker", core_redis.Breaker())
    monkeypatch.setattr(core_redis, "_close_idle_connections", lambda: None)
    monkeypatch.setattr(core_redis, "_start_probe", lambda _: None)
    limiter.cache_clear()
    asked: list[str] = []
    connect = get_redis_connection

    def counted(alias: str) -> Any:
        asked.append(alias)
        return connect(alias)

    monkeypatch.setattr(core_redis, "get_redis_connection", counted)
    return asked


@pytest.fixture
def shared_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Redis of this run, with longer time-outs than in a server: the machine may be busy."""
    if not settings.REDIS_URL:
        pytest.skip("There is no Redis in this run.")
    timeouts = "socket_timeout=10&socket_connect_timeout=10"
    settings.CACHES = {
        alias: {**cache, "LOCATION": f"{cache['LOCATION'].partition('?')[0]}?{timeouts}"}
        for alias, cache in settings.CACHES.items()
    }
    monkeypatch.setattr(core_redis, "breaker", core_redis.Breaker())


@pytest.fixture
def private_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateRedis]:
    """A Redis server for this test alone, which the process uses like any other."""
    with PrivateRedis() as server:
        settings.CACHES = {
            alias: {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": f"{server.url}/{number}",
                "OPTIONS": {
                    "SOCKET_CONNECT_TIMEOUT": 0.3,
                    "SOCKET_TIMEOUT": 0.3,
                    "CONNECTION_POOL_CLASS": "redis.connection.BlockingConnectionPool",
                    "CONNECTION_POOL_KWARGS": {"max_connections": 3, "timeout": 0.3},
                },
            }
            for number, alias in enumerate(("default", "main"))
        }
        monkeypatch.setattr(core_redis, "breaker", core_redis.Breaker())
        monkeypatch.setattr(core_redis, "PROBE_SECONDS", 0.02)
        yield server
        for alias in settings.CACHES:
            get_redis_connection(alias).connection_pool.disconnect()


@pytest.fixture
def key() -> str:
    """A key that no other test uses: Redis outlives a test."""
    return str(uuid4())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of the limiters, which stands still until a test sets it."""
    clock = SimpleNamespace(now=1_000.0)
    for module in (ratelimit, redis_limiter):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limiters report only when it is urgent, and not after a time."""
    monkeypatch.setattr(redis_limiter, "GATHER_SECONDS", 3600.0)


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Creates limiters, each for a simulated process, and ends their reports after the test."""
    made: list[RedisLimiter] = []

    def make() -> RedisLimiter:
        made.append(RedisLimiter())
        return made[-1]

    yield make
    settle(*made)
