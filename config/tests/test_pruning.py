"""Every server prunes in a thread of its own, and of several processes one in each interval."""

import threading
from concurrent.futures import ThreadPoolExecutor
from random import getrandbits
from typing import Any

import pytest
from django.conf import settings

from apps.core.redis import RedisDown
from config import pruning
from testing.server import until


def test_pruning_continues_after_a_failure_and_stops_when_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def prune() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("the database is away")
        return 0

    monkeypatch.setattr(pruning, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(pruning, "prunes", lambda: {"things": prune})
    stop = threading.Event()
    thread = pruning.start_pruning(stop)
    until(lambda: len(calls) > 2)
    stop.set()
    thread.join(timeout=5)
    assert not thread.is_alive()


@pytest.mark.skipif(not settings.REDIS_URL, reason="several processes share a Redis")
def test_of_several_processes_one_prunes_in_an_interval() -> None:
    every = 3600 + getrandbits(30)
    with ThreadPoolExecutor(8) as processes:
        taken = list(processes.map(pruning.take_interval, [every] * 8))
    assert taken.count(True) == 1
    assert not pruning.take_interval(every)


def test_without_redis_or_while_it_is_away_every_process_prunes(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    def away(*_: object) -> None:
        raise RedisDown

    settings.REDIS_URL = "redis://nowhere.invalid"
    monkeypatch.setattr(pruning, "with_redis", away)
    assert pruning.take_interval(3600)
    settings.REDIS_URL = ""
    assert pruning.take_interval(3600)
