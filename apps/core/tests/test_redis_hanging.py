"""A hanging Redis delays no request: the limiter reports to it in a thread of its own."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, cast
from uuid import uuid4

import pytest
from django_redis import get_redis_connection
from pytest_django import Settings

from apps.core import redis as core_redis
from apps.core import redis_limiter
from apps.core.ratelimit import Limit, LocalLimiter, action_refusals, consume_address, limiter
from apps.core.redis import RedisDown
from apps.core.redis_limiter import RedisLimiter
from apps.core.tests.limiting import LARGE, SMALL, Processes, count, passes, settle
from config import settings as shipped
from testing.server import until
from testing.servers import PrivateRedis

LONG = 10.0


class HangingRedis:
    """Replaces with_redis(): every call hangs until `go` is set, and then fails."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.callers: list[str] = []

    def __call__(self, alias: str, operation: Callable[[Any], Any]) -> Any:
        self.callers.append(threading.current_thread().name)
        assert self.go.wait(LONG)
        raise RedisDown


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[HangingRedis]:
    made = HangingRedis()
    monkeypatch.setattr(redis_limiter, "with_redis", made)
    monkeypatch.setattr(core_redis, "breaker", core_redis.Breaker())
    settings.LIMITER = "apps.core.redis_limiter.RedisLimiter"
    settings.RATE_LIMIT_REQUESTS_PER_SECOND, settings.RATE_LIMIT_BURST = 100, 200
    settings.ACTION_LIMITS = shipped.ACTION_LIMITS
    limiter.cache_clear()
    yield made
    made.go.set()
    settle(cast(RedisLimiter, limiter()))
    limiter.cache_clear()


def test_no_request_waits_for_a_hanging_redis(hanging: HangingRedis) -> None:
    for number in range(100):
        consume_address(f"10.1.0.{number}")
    for _ in range(19):
        consume_address("10.1.0.1")
    until(lambda: hanging.callers)
    assert hanging.callers == ["limits_0"]


def test_no_group_of_messages_waits_for_a_hanging_redis(hanging: HangingRedis) -> None:
    senders = [uuid4() for _ in range(200)]
    for _ in range(10):
        assert action_refusals("send_message", senders) == [None] * 200
    until(lambda: hanging.callers)
    assert hanging.callers == ["limits_0"]


@pytest.mark.integration
@pytest.mark.usefixtures("unhurried")
def test_a_hundred_requests_of_a_network_are_ten_commands(
    private_redis: PrivateRedis, processes: Processes, key: str
) -> None:
    one = processes()
    for _ in range(10):
        assert all(passes(one, key, LARGE) for _ in range(10))
        until(lambda: not one._gathered and not one._reported)
    assert commands() == 10


def test_a_process_limits_by_its_own_count_without_redis(dead_redis: list[str], key: str) -> None:
    """A dead Redis must neither fail requests nor switch the limits off."""
    one = RedisLimiter()
    assert count(one, key, SMALL) == 10
    assert count(one, f"{key}2", LARGE) == 200


def test_a_dead_redis_is_not_called_again(dead_redis: list[str], key: str) -> None:
    """Otherwise each request would wait for its time-out."""
    one = RedisLimiter()
    for _ in range(5):
        one.take([key], SMALL)
        one.take([f"{key}2"], LARGE)
    assert dead_redis == ["main"]
    core_redis.breaker.reset()
    one.take([key], SMALL)
    assert dead_redis == ["main", "main"]


def test_the_number_of_keys_is_bounded_while_redis_is_down(
    dead_redis: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalLimiter, "MOST_KEYS", 3)
    one = RedisLimiter()
    one.take(["the first to fail"], SMALL)
    for number in range(20):
        one.take([str(number)], LARGE)
    assert len(one._whole_at) == 3
    assert not one._gathered


@pytest.mark.integration
@pytest.mark.parametrize("limit", [SMALL, LARGE], ids=["small", "large"])
def test_a_process_that_loses_redis_keeps_the_counts_of_the_others(
    private_redis: PrivateRedis, processes: Processes, key: str, limit: Limit
) -> None:
    """Otherwise a client that has reached a limit would get all of it again."""
    one, other = processes(), processes()
    assert all(passes(other, key, limit) for _ in range(limit.burst // 2))
    settle(other)
    assert passes(one, key, limit)
    settle(one)
    private_redis.freeze()
    until(lambda: not one.take(["another"], LARGE) or core_redis.breaker.open)
    assert count(one, key, limit) == limit.burst // 2 - 1


@pytest.mark.integration
def test_requests_that_pass_while_redis_hangs_are_not_reported_later(
    private_redis: PrivateRedis, processes: Processes, key: str
) -> None:
    one = processes()
    passes(one, "the first", LARGE)
    settle(one)
    before = commands()
    private_redis.freeze()
    # Redis gets the report of this request only.
    passes(one, "the first to fail", LARGE)
    until(lambda: core_redis.breaker.open)
    assert all(passes(one, key, LARGE) for _ in range(100))
    assert all(passes(one, f"{key}2", SMALL) for _ in range(10))
    private_redis.thaw()
    until(lambda: not core_redis.breaker.open)
    settle(one)
    assert commands() <= before + 1
    assert count(processes(), key, LARGE) == 200


def commands() -> int:
    """Return how often the limiter's script was run."""
    stats = get_redis_connection("main").info("commandstats")
    # The first call fails, since Redis does not know the script yet.
    scripts = [one for name, one in stats.items() if name.startswith("cmdstat_eval")]
    return sum(one["calls"] - one["failed_calls"] for one in scripts)
