"""Fixtures of the tests of core."""

from typing import Any
from uuid import uuid4

import pytest
from django_redis import get_redis_connection
from pytest_django import Settings

from apps.core import redis as core_redis
from apps.core.ratelimit import limiter


@pytest.fixture
def network() -> str:
    """The first half of the addresses of a network that nobody else has used."""
    return f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}"


@pytest.fixture
def address(network: str) -> str:
    return f"{network}::1"


@pytest.fixture
def dead_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every alias leads to a port that nobody listens on; returns who was asked for a client."""
    dead = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": dead, "main": dead, "session": dead}
    settings.REDIS_URL = "redis://127.0.0.1:1"
    settings.LIMITER = "apps.core.ratelimit.RedisLimiter"
    monkeypatch.setattr(core_redis, "breaker", core_redis.Breaker())
    monkeypatch.setattr(core_redis, "_hang_up", lambda: None)
    limiter.cache_clear()
    asked: list[str] = []
    connect = get_redis_connection

    def counted(alias: str) -> Any:
        asked.append(alias)
        return connect(alias)

    monkeypatch.setattr(core_redis, "get_redis_connection", counted)
    return asked
