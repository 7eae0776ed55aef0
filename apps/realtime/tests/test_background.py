"""Background work: a failure is logged, and does not end what is repeated."""

import asyncio
from collections.abc import Coroutine

from structlog.testing import capture_logs

from apps.realtime.background import every, spawn
from apps.realtime.tests.tasks import settle


async def fail() -> None:
    raise ValueError


def logged(scenario: Coroutine[None, None, None]) -> list[tuple[object, object]]:
    with capture_logs() as entries:
        asyncio.run(scenario)
    return [(entry["event"], entry["work"]) for entry in entries]


def test_detached_work_that_fails_is_logged() -> None:
    async def scenario() -> None:
        spawn(fail())
        await settle()

    assert logged(scenario()) == [("background work failed", "fail")]


def test_detached_work_that_is_cancelled_is_not_logged() -> None:
    async def scenario() -> None:
        spawn(asyncio.sleep(3600)).cancel()
        await settle()

    assert logged(scenario()) == []


def test_a_step_that_fails_is_logged_and_repeated() -> None:
    steps: list[str] = []

    async def fail_at_first(step: str) -> None:
        steps.append(step)
        if len(steps) == 1:
            raise ValueError
        raise asyncio.CancelledError

    async def scenario() -> None:
        spawn(every(0, fail_at_first, "step"))
        await settle()

    [(event, work)] = logged(scenario())
    assert event == "repeated work failed"
    assert str(work).endswith("fail_at_first")
    assert steps == ["step", "step"]
