"""A server without a worker prunes in a thread of its own."""

import threading

import pytest

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
