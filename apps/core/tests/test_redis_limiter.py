"""The limiter of several processes: exact for small limits, and a little ahead for large ones."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from apps.core import ratelimit, redis_limiter
from apps.core import redis as core_redis
from apps.core.features import limits
from apps.core.ratelimit import Limit
from apps.core.redis_limiter import RedisLimiter, most_ahead
from apps.core.tests.limiting import LARGE, SMALL, Processes, count, passes, settle, stored_key
from apps.core.tests.together import together
from testing.server import until


@pytest.mark.parametrize(
    ("burst", "ahead"),
    [(1, 0), (10, 0), (100, 0), (101, 10), (120, 12), (200, 20), (600, 60), (100_000, 10_000)],
)
def test_a_process_may_be_ahead_by_a_tenth_of_a_large_burst_only(burst: int, ahead: int) -> None:
    assert most_ahead(Limit(1, burst)) == ahead


def test_only_the_largest_default_limits_are_inexact() -> None:
    ahead = [
        name
        for name, per_minute in limits().items()
        if most_ahead(Limit(per_minute / 60, per_minute))
    ]
    assert sorted(ahead) == ["join_room", "send_message", "typing", "unsubscribe"]
    assert most_ahead(Limit(100, 200)) == 20


@pytest.mark.usefixtures("shared_redis")
def test_a_large_limit_is_exact_within_one_process(processes: Processes, key: str) -> None:
    assert count(processes(), key, LARGE) == 200


@pytest.mark.usefixtures("shared_redis", "unhurried")
@pytest.mark.parametrize("number", [2, 4])
def test_several_processes_exceed_a_large_limit_only_by_what_each_may_be_ahead(
    processes: Processes, key: str, number: int
) -> None:
    own = [processes() for _ in range(number)]

    def passing(process: RedisLimiter) -> list[bool]:
        return [passes(process, key, LARGE) for _ in range(100)]

    answers = together(*[partial(passing, process) for process in own] * 2)
    passed = sum(each.count(True) for each in answers if isinstance(each, list))
    assert 200 <= passed <= 200 + number * most_ahead(LARGE)
    for process in own:
        settle(process)
    assert not any(passes(process, key, LARGE) for process in own)


@pytest.mark.usefixtures("shared_redis")
def test_a_small_limit_is_exact_among_processes(processes: Processes, key: str) -> None:
    one, other = processes(), processes()

    def ten(process: RedisLimiter) -> list[bool]:
        return [passes(process, key, SMALL) for _ in range(10)]

    answers = together(*[lambda: ten(one), lambda: ten(other)] * 4)
    assert sum(each.count(True) for each in answers if isinstance(each, list)) == 10
    assert all(isinstance(each, list) for each in answers)


@pytest.mark.usefixtures("shared_redis", "unhurried")
def test_a_process_without_news_passes_no_more_than_it_may_be_ahead(
    processes: Processes, key: str
) -> None:
    one, other = processes(), processes()
    assert passes(one, key, LARGE)
    assert count(other, key, LARGE) == 200
    settle(other)
    assert count(one, key, LARGE) <= most_ahead(LARGE)


@pytest.mark.usefixtures("shared_redis")
def test_requests_over_the_limit_are_counted(processes: Processes, key: str) -> None:
    """They reduce the next allowance, so that the excess does not accumulate."""
    one, other = processes(), processes()
    passed = 1
    assert passes(one, key, LARGE)
    for process in (other, one):
        passed += count(process, key, LARGE)
        settle(process)
    left = core_redis.with_redis("main", lambda client: client.pttl(stored_key(key)))
    assert passed - 1 < left / 1000 * LARGE.rate <= passed


@pytest.mark.usefixtures("shared_redis", "unhurried")
def test_unreported_requests_of_a_dead_process_are_not_counted(
    processes: Processes, key: str
) -> None:
    dead = processes()
    assert all(passes(dead, key, LARGE) for _ in range(9))
    assert count(processes(), key, LARGE) == 200


@pytest.mark.usefixtures("shared_redis", "unhurried")
def test_a_report_counts_from_the_time_of_its_first_request(
    processes: Processes, key: str, clock: SimpleNamespace
) -> None:
    """Otherwise a late report would delay the client."""
    one, limit = processes(), Limit(rate=1 / 10, burst=200)
    assert all(passes(one, key, limit) for _ in range(8))
    clock.now += 50
    settle(one)
    left = core_redis.with_redis("main", lambda client: client.pttl(stored_key(key)))
    assert 0 < left <= 30_000


@pytest.mark.usefixtures("shared_redis", "unhurried")
def test_a_refusal_for_requests_of_other_processes_says_when_to_come_back(
    processes: Processes, key: str
) -> None:
    one, other, limit = processes(), processes(), Limit(rate=1 / 10, burst=200)
    assert passes(one, key, limit)
    settle(one)
    count(other, key, limit)
    settle(other)
    assert passes(one, key, limit)
    settle(one)
    [refusal] = ratelimit.refusals([key], limit, one)
    assert refusal is not None
    headers = {name: int(value) for name, value in refusal.headers.items()}
    assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == (200, 0)
    # One or two requests more than the limit may have passed.
    assert 1_990 <= headers["RateLimit-Reset"] <= 2_020
    assert headers["Retry-After"] == headers["RateLimit-Reset"] - 1_990


class ScriptedRedis:
    """Replaces with_redis(): returns the given answers in turn, and first calls `meanwhile`."""

    def __init__(self, answers: list[float], meanwhile: Callable[[], object] = int) -> None:
        self.answers = answers
        self._meanwhile = meanwhile

    def __call__(self, alias: str, operation: Callable[[Any], Any]) -> Any:
        self._meanwhile()
        return [round(1e6 * self.answers.pop(0))]


@pytest.mark.usefixtures("unhurried")
def test_requests_that_pass_during_a_report_are_added_to_its_answer(
    processes: Processes, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = processes()
    redis = ScriptedRedis([190 / LARGE.rate], lambda: [passes(one, key, LARGE) for _ in range(5)])
    monkeypatch.setattr(redis_limiter, "with_redis", redis)
    monkeypatch.setattr(core_redis, "breaker", core_redis.Breaker())
    assert passes(one, key, LARGE)
    one._urgent.set()
    until(lambda: not redis.answers and not one._reported)
    assert count(one, key, LARGE) == 5
    redis.answers += [200 / LARGE.rate] * 2


def test_a_client_that_waits_as_long_as_told_is_not_refused_again(
    clock: SimpleNamespace, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that Redis refuses must take nothing from the count of the process either."""
    minute, limit = 60, Limit(rate=1 / 60, burst=10)
    # Another process takes one after the ninth request; half of it has come back since.
    redis = ScriptedRedis([taken * minute for taken in (*range(1, 10), 10.5, 10)])
    monkeypatch.setattr(redis_limiter, "with_redis", redis)
    monkeypatch.setattr(core_redis, "breaker", core_redis.Breaker())
    one = RedisLimiter()
    assert [passes(one, key, limit) for _ in range(10)] == [True] * 9 + [False]
    clock.now += minute / 2
    assert passes(one, key, limit)


@pytest.mark.usefixtures("shared_redis")
def test_redis_forgets_a_key_once_its_allowance_is_whole(processes: Processes, key: str) -> None:
    passes(processes(), key, SMALL)
    left = core_redis.with_redis("main", lambda client: client.pttl(stored_key(key)))
    assert 0 < left <= 3_600_000


@pytest.mark.usefixtures("shared_redis")
def test_redis_never_stores_a_plain_key(processes: Processes, key: str) -> None:
    """A key may be a megabyte long, or hold the e-mail address of a user."""
    one = processes()
    for limit in (SMALL, LARGE):
        passes(one, key, limit)
    settle(one)
    found = core_redis.with_redis("main", lambda client: client.keys(f"*{key}*"))
    assert found == []
