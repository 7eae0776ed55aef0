"""Values that are found out by one caller at a time, and may be some seconds old."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from apps.core import refreshed
from apps.core.refreshed import Refreshed


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Clock:
    settings.CACHE_SECONDS = 10
    clock = Clock()
    monkeypatch.setattr(refreshed, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def numbers() -> Callable[[], int]:
    """Return a function that returns 1, 2, 3 …"""
    return iter(range(1, 100)).__next__


def value_of(kept: Refreshed[int], key: str, find_out: Callable[[], int]) -> int:
    """Return a value without its time."""
    return kept.get(key, find_out).value


def test_a_value_is_found_out_anew_after_half_of_the_seconds(clock: Clock) -> None:
    kept, find_out = Refreshed[int](10), numbers()
    assert [value_of(kept, "posts", find_out), value_of(kept, "posts", find_out)] == [1, 1]
    clock.now += 4.9
    assert value_of(kept, "posts", find_out) == 1
    clock.now += 0.2
    assert value_of(kept, "posts", find_out) == 2


def test_the_age_of_a_value_counts_from_before_it_was_found_out(clock: Clock) -> None:
    """What changes while rows are counted may not be in the count."""
    kept, find_out = Refreshed[int](10), numbers()

    def slow() -> int:
        clock.now += 6
        return find_out()

    assert [value_of(kept, "posts", slow), value_of(kept, "posts", find_out)] == [1, 2]


@pytest.mark.parametrize(("age", "others_get"), [(6, 1), (11, 2)])
def test_one_caller_finds_out_and_the_others_get_the_old_value_if_it_is_young_enough(
    clock: Clock, age: int, others_get: int
) -> None:
    kept, find_out = Refreshed[int](10), numbers()
    value_of(kept, "posts", find_out)
    clock.now += age
    began, may_end = Event(), Event()

    def slow() -> int:
        began.set()
        assert may_end.wait(10)
        return find_out()

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(value_of, kept, "posts", slow)
        assert began.wait(10)
        other = threads.submit(value_of, kept, "posts", find_out)
        if others_get == 1:
            assert other.result(10) == 1
        may_end.set()
        assert (first.result(10), other.result(10)) == (2, others_get)
    assert find_out() == 3


def test_a_value_that_is_not_worth_keeping_is_found_out_for_each_caller(clock: Clock) -> None:
    kept, find_out = Refreshed[int](10, worth_keeping=lambda value: value > 2), numbers()
    assert [value_of(kept, "posts", find_out) for _ in range(5)] == [1, 2, 3, 3, 3]


def test_after_a_failure_the_next_caller_tries_again(clock: Clock) -> None:
    kept = Refreshed[int](10)
    with pytest.raises(ZeroDivisionError):
        value_of(kept, "posts", lambda: 1 // 0)
    assert value_of(kept, "posts", lambda: 1) == 1


def test_only_the_values_used_last_are_remembered(clock: Clock) -> None:
    kept = Refreshed[int](2)
    for key, value in (("a", 1), ("b", 2), ("a", 0), ("c", 3)):
        value_of(kept, key, partial(int, value))
    assert [value_of(kept, key, lambda: 9) for key in ("a", "c", "b")] == [1, 3, 9]


def test_without_seconds_nothing_is_remembered(clock: Clock, settings: Any) -> None:
    settings.CACHE_SECONDS = 0
    kept, find_out = Refreshed[int](10), numbers()
    assert [value_of(kept, "posts", find_out), value_of(kept, "posts", find_out)] == [1, 2]
