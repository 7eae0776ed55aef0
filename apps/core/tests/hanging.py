"""Work that hangs, and tasks that wait for a thread, for tests of pools."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from apps.core.threads import BoundedPool

LONG = 10.0


class Hanging:
    """Work that hangs until it is let go, and counts who has begun and ended it."""

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


async def so(what: Callable[[], bool]) -> None:
    """Return once it is so."""
    async with asyncio.timeout(LONG):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def pool_of(threads: int, *, wait: float = LONG, queue: int = 100) -> BoundedPool:
    return BoundedPool("test", threads, wait=wait, queue=queue)


async def begun(pool: BoundedPool, work: Hanging, times: int = 1) -> list["asyncio.Task[None]"]:
    """Return the tasks that hold a thread each."""
    tasks = [asyncio.create_task(pool.run(work)) for _ in range(times)]
    await so(lambda: work.begun == times)
    return tasks


async def waiting(pool: BoundedPool, work: Callable[[], Any]) -> "asyncio.Task[Any]":
    """Return a task that waits for a thread, behind those that wait already."""
    behind = len(pool._turns)
    task = asyncio.create_task(pool.run(work))
    await so(lambda: len(pool._turns) == behind + 1)
    return task
