"""The limiter within one process. Tests of requests are in test_request_limits.py."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as configured

from apps.core.errors import RateLimited
from apps.core.ratelimit import (
    Limit,
    Limiter,
    LocalLimiter,
    consume,
    digest,
    limiter,
)
from apps.core.redis_limiter import RedisLimiter
from apps.core.tests.limiting import SMALL, count, passes
from apps.core.tests.together import together
from testing.server import until


@pytest.fixture(params=[LocalLimiter, RedisLimiter])
def any_limiter(request: pytest.FixtureRequest) -> Limiter:
    if request.param is RedisLimiter:
        request.getfixturevalue("shared_redis")
    made: Limiter = request.param()
    return made


class SlowDict(OrderedDict[str, float]):
    """Lets other threads run between each read and the next write."""

    def get(self, key: str, default: Any = None) -> Any:
        value = super().get(key, default)
        time.sleep(0.001)
        return value


def test_the_limit_is_exact_among_fifty_threads(key: str) -> None:
    """Check and count must be one atomic step, or concurrent requests exceed the limit."""
    local = LocalLimiter()
    local._whole_at = SlowDict()
    answers = together(*[lambda: passes(local, key, SMALL)] * 50)
    assert answers.count(True) == 10
    assert answers.count(False) == 40


def test_the_limit_is_exact_among_the_threads_of_a_process(any_limiter: Limiter, key: str) -> None:
    """Each thread has a connection, so there are no more threads than in a process."""
    threads = configured.HTTP_THREADS + configured.REALTIME_THREADS
    answers = together(*[lambda: [passes(any_limiter, key, SMALL) for _ in range(10)]] * threads)
    assert sum(each.count(True) for each in answers if isinstance(each, list)) == 10
    assert all(isinstance(each, list) for each in answers)


def test_a_refusal_takes_nothing(any_limiter: Limiter, key: str) -> None:
    limit = Limit(rate=20, burst=2)
    assert count(any_limiter, key, limit) == 2
    for _ in range(100):
        any_limiter.take([key], limit)
    until(lambda: passes(any_limiter, key, limit), seconds=1)


def test_keys_are_independent(any_limiter: Limiter, key: str) -> None:
    count(any_limiter, key, SMALL)
    assert passes(any_limiter, f"{key}2", SMALL)


def test_the_burst_passes_at_once_and_then_the_rate(clock: SimpleNamespace) -> None:
    local, limit = LocalLimiter(), Limit(rate=2, burst=5)
    assert count(local, "key", limit) == 5
    clock.now += 0.49
    assert count(local, "key", limit) == 0
    clock.now += 0.02
    assert count(local, "key", limit) == 1
    clock.now += 1
    assert count(local, "key", limit) == 2


def test_a_burst_cannot_double_at_the_edge_of_a_window(clock: SimpleNamespace) -> None:
    """Fixed windows would allow one burst before the edge and another one after it."""
    local, limit = LocalLimiter(), Limit(rate=10, burst=10)
    clock.now = 1_000.999
    assert count(local, "key", limit) == 10
    clock.now = 1_001.001
    assert count(local, "key", limit) == 0


def test_the_allowance_grows_to_the_burst_and_no_further(clock: SimpleNamespace) -> None:
    local, limit = LocalLimiter(), Limit(rate=2, burst=5)
    count(local, "key", limit)
    clock.now += 3600
    assert count(local, "key", limit) == 5


def test_keys_whose_allowance_is_whole_are_forgotten(clock: SimpleNamespace) -> None:
    local, limit = LocalLimiter(), Limit(rate=1, burst=10)
    for number in range(4):
        local.take([f"old {number}"], limit)
    clock.now += 2
    for number in range(2):
        local.take([f"new {number}"], limit)
    assert set(local._whole_at) == {digest("new 0"), digest("new 1")}


@pytest.fixture
def few_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalLimiter, "MOST_KEYS", 3, raising=False)


@pytest.mark.usefixtures("few_keys")
@pytest.mark.parametrize("at_once", [1, 20])
def test_the_oldest_of_too_many_keys_are_forgotten(at_once: int) -> None:
    local, keys = LocalLimiter(), [str(number) for number in range(20)]
    for first in range(0, 20, at_once):
        local.take(keys[first : first + at_once], SMALL)
    assert list(local._whole_at) == [digest(key) for key in keys[-3:]]


@pytest.mark.usefixtures("few_keys")
def test_a_key_in_use_is_not_among_the_oldest() -> None:
    local = LocalLimiter()
    for number in range(10):
        local.take(["in use", str(number)], SMALL)
    assert not passes(local, "in use", SMALL)


class CountingDict(OrderedDict[str, float]):
    """Counts the keys that were iterated over."""

    walked = 0

    def __iter__(self) -> Iterator[str]:
        for key in super().__iter__():
            self.walked += 1
            yield key

    def items(self) -> Any:
        return [(key, self[key]) for key in self]


def test_no_call_walks_all_keys() -> None:
    """Otherwise a client that fills the table would slow down every request."""
    local = LocalLimiter()
    local._whole_at = watched = CountingDict()
    local.take([str(number) for number in range(10_001)], SMALL)
    watched.walked = 0
    local.take(["one more"], SMALL)
    assert watched.walked <= 2


@pytest.mark.parametrize("key", ["", "x", "x" * 1_000_000, "é", "\ud800"], ids=len)
def test_keys_of_every_length_are_stored_in_32_characters(key: str) -> None:
    local = LocalLimiter()
    local.take([key], SMALL)
    assert [len(stored) for stored in local._whole_at] == [32]
    assert passes(local, f"{key}2", SMALL)


def test_a_refusal_says_when_to_come_back(clock: SimpleNamespace) -> None:
    limit = Limit(rate=0.1, burst=3)
    limiter.cache_clear()
    key = str(uuid4())
    for _ in range(3):
        consume(key, limit)
    with pytest.raises(RateLimited) as refused:
        consume(key, limit)
    headers = refused.value.headers
    assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("3", "0")
    assert 25 <= int(headers["RateLimit-Reset"]) <= 30
    assert 5 <= int(headers["Retry-After"]) <= 10
