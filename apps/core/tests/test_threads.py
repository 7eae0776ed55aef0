"""The bounded pool: callers wait for a thread within bounds, and leave nothing behind."""

import asyncio
import random
import threading
from collections.abc import Coroutine
from functools import partial
from typing import Any

import pytest

from apps.core.errors import ServiceUnavailable
from apps.core.tests.hanging import LONG, HangingWork, enqueue, hold_threads, pool_of, wait_until
from apps.core.threads import BoundedPool
from testing.server import until


def at_rest(pool: BoundedPool, threads: int) -> bool:
    return pool._free == threads and not pool._turns and pool._executor._work_queue.empty()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def test_work_runs_in_a_thread_and_returns_its_result_or_raises_its_error() -> None:
    def fail() -> None:
        raise OSError("broken")

    async def scenario() -> None:
        pool = pool_of(1)
        assert await pool.run(lambda a, b: (a, b), 1, b=2) == (1, 2)
        assert (await pool.run(threading.current_thread)).name.startswith("test")
        with pytest.raises(OSError, match="broken"):
            await pool.run(fail)
        await wait_until(lambda: at_rest(pool, 1))

    run(scenario())


def test_concurrent_work_is_limited_to_the_threads() -> None:
    async def scenario() -> None:
        pool, work = pool_of(2), HangingWork()
        held = await hold_threads(pool, work, 2)
        third = await enqueue(pool, work)
        assert work.begun == 2
        assert pool._executor._work_queue.empty()
        work.go.set()
        await asyncio.gather(*held, third)
        assert work.ended == 3
        await wait_until(lambda: at_rest(pool, 2))

    run(scenario())


def test_one_owner_cannot_hold_the_last_thread_of_a_pool() -> None:
    async def scenario() -> None:
        pool, work = pool_of(3), HangingWork()
        of_alice = [asyncio.create_task(pool.run_for("alice", work)) for _ in range(4)]
        await wait_until(lambda: work.begun == 2)
        # Two of Alice's works wait, and one thread is free for others.
        assert await pool.run_for("bob", lambda: "served") == "served"
        assert await pool.run(lambda: "served") == "served"
        assert work.begun == 2
        work.go.set()
        await asyncio.gather(*of_alice)
        await wait_until(lambda: at_rest(pool, 3))
        assert not pool._held

    run(scenario())


def test_callers_are_served_in_order() -> None:
    async def scenario() -> None:
        pool, work = pool_of(1), HangingWork()
        held, order = await hold_threads(pool, work), list[int]()
        later = [await enqueue(pool, partial(order.append, n)) for n in range(5)]
        work.go.set()
        await asyncio.gather(*held, *later)
        assert order == [0, 1, 2, 3, 4]

    run(scenario())


def test_a_caller_that_waits_too_long_is_refused_and_leaves_nothing() -> None:
    async def scenario() -> None:
        pool, work = pool_of(1, wait=0.02), HangingWork()
        held, late = await hold_threads(pool, work), HangingWork()
        with pytest.raises(ServiceUnavailable) as refused:
            await pool.run(late)
        assert int(refused.value.headers["Retry-After"]) > 0
        assert not pool._turns
        work.go.set()
        await asyncio.gather(*held)
        await wait_until(lambda: at_rest(pool, 1))
        assert late.begun == 0

    run(scenario())


def test_a_caller_is_refused_at_once_when_the_queue_is_full() -> None:
    async def scenario() -> None:
        pool, work = pool_of(1, queue=2), HangingWork()
        held = await hold_threads(pool, work)
        queued = [await enqueue(pool, partial(int, n)) for n in range(2)]
        late = HangingWork()
        with pytest.raises(ServiceUnavailable):
            await pool.run(late)
        assert len(pool._turns) == 2
        work.go.set()
        await asyncio.gather(*held)
        assert await asyncio.gather(*queued) == [0, 1]
        assert await pool.run(lambda: "served") == "served"
        assert late.begun == 0

    run(scenario())


def test_a_caller_that_is_cancelled_while_it_waits_leaves_nothing() -> None:
    async def scenario() -> None:
        pool, work, never = pool_of(1, queue=2), HangingWork(), HangingWork()
        held = await hold_threads(pool, work)
        gone = await enqueue(pool, never)
        stays = await enqueue(pool, lambda: "served")
        gone.cancel()
        await asyncio.wait([gone])
        assert gone.cancelled()
        # The queue has a free place again.
        other = await enqueue(pool, lambda: "served")
        work.go.set()
        await asyncio.gather(*held)
        assert {await stays, await other} == {"served"}
        await wait_until(lambda: at_rest(pool, 1))
        assert never.begun == 0

    run(scenario())


def test_work_that_starts_while_its_caller_is_cancelled_is_abandoned() -> None:
    async def scenario() -> None:
        pool, work, done = pool_of(1), HangingWork(), list[str]()
        held = await hold_threads(pool, work)
        leaving = await enqueue(pool, partial(done.append, "abandoned"))
        stays = await enqueue(pool, partial(done.append, "served"))
        work.go.set()
        # This blocks the loop, so that the work starts before the task learns of it.
        until(lambda: not pool._turns, seconds=LONG)
        leaving.cancel()
        await asyncio.gather(*held, stays)
        await asyncio.wait([leaving])
        assert leaving.cancelled()
        assert done == ["abandoned", "served"]
        await wait_until(lambda: at_rest(pool, 1))

    run(scenario())


def test_abandoned_work_holds_its_thread_until_it_ends() -> None:
    async def scenario() -> None:
        pool, work = pool_of(1), HangingWork()
        [abandoned] = await hold_threads(pool, work)
        abandoned.cancel()
        await asyncio.wait([abandoned])
        assert abandoned.cancelled()
        assert pool._free == 0
        next_one = await enqueue(pool, lambda: work.ended)
        work.go.set()
        assert await next_one == 1
        await wait_until(lambda: at_rest(pool, 1))

    run(scenario())


def test_later_work_runs_when_a_thread_is_free() -> None:
    async def scenario() -> None:
        pool, work, done = pool_of(1), HangingWork(), list[str]()
        held = await hold_threads(pool, work)
        pool.later(lambda: done.append("later"))
        assert done == []
        work.go.set()
        await asyncio.gather(*held)
        await pool.run(lambda: None)
        assert done == ["later"]
        await wait_until(lambda: at_rest(pool, 1))

    run(scenario())


def test_a_failure_of_later_work_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError("broken")

    async def scenario() -> None:
        pool = pool_of(1)
        pool.later(fail)
        await pool.run(lambda: None)

    run(scenario())
    assert "OSError" in str([record.msg for record in caplog.records])


def test_threads_survive_the_event_loop_that_used_them() -> None:
    pool, work = pool_of(1), HangingWork()

    async def scenario() -> None:
        await hold_threads(pool, work)
        await enqueue(pool, work)

    async def afterwards() -> None:
        next_one = await enqueue(pool, lambda: "served")
        work.go.set()
        assert await next_one == "served"

    # The first loop ends while one task runs in the thread and another one waits.
    run(scenario())
    run(afterwards())
    assert work.ended == 1
    until(lambda: at_rest(pool, 1))


def test_random_callers_neither_lose_nor_duplicate_threads() -> None:
    pool, running, most = pool_of(3, wait=0.02, queue=20), set[int](), list[int]()
    chance = random.Random(7)

    def work(number: int, seconds: float) -> None:
        running.add(number)
        most.append(len(running))
        threading.Event().wait(seconds)
        running.discard(number)

    async def caller(number: int) -> None:
        async with asyncio.timeout(chance.uniform(0, 0.02)):
            await pool.run(work, number, chance.uniform(0, 0.005))

    async def scenario() -> None:
        for _ in range(20):
            numbers = range(100)
            outcomes = await asyncio.gather(*map(caller, numbers), return_exceptions=True)
            for outcome in outcomes:
                assert outcome is None or isinstance(outcome, TimeoutError | ServiceUnavailable)
        await wait_until(lambda: at_rest(pool, 3))
        assert max(most) == 3
        assert not running

    run(scenario())
