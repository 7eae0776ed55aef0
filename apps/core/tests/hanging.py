"""Work that hangs, and tasks that wait for a thread, for tests of pools."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from apps.core.threads import BoundedPool

LONG = 10.0


class HangingWork:
    """Work that hangs until `go` is set, and counts how often it has begun and ended."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = self.ended = 0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.begun += 1
        assert self.go.wait(LONG)
        with self._lock:
            self.ended += 1


async def wait_until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def pool_of(threads: int, *, wait: float = LONG, queue: int = 100) -> BoundedPool:
    return BoundedPool("test", threads, wait=wait, queue=queue)


async def hold_threads(
    pool: BoundedPool, work: HangingWork, times: int = 1
) -> list["asyncio.Task[None]"]:
    """Return tasks that hold a thread each."""
    tasks = [asyncio.create_task(pool.run(work)) for _ in range(times)]
    await wait_until(lambda: work.begun == times)
    return tasks


async def enqueue(pool: BoundedPool, work: Callable[[], Any]) -> "asyncio.Task[Any]":
    """Return a task that waits for a thread, behind the tasks that wait already."""
    waiting = len(pool._turns)
    task = asyncio.create_task(pool.run(work))
    await wait_until(lambda: len(pool._turns) == waiting + 1)
    return task
