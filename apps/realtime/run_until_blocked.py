"""Running a coroutine until it first waits for the event loop."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any


def run_until_blocked(coroutine: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None] | None:
    """Run the coroutine until it first has to wait. Return None when it never had to, else the
    rest of it, to be awaited in a task.

    One frame is sent to thousands of sockets, and nearly none of them makes the sender wait: this
    saves a task for each.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    return _finish(coroutine, waits_for)


async def _finish(
    coroutine: Coroutine[Any, Any, None], waits_for: "asyncio.Future[Any] | None"
) -> None:
    await _resume(coroutine, waits_for)


@types.coroutine
def _resume(
    coroutine: Coroutine[Any, Any, None], waits_for: "asyncio.Future[Any] | None"
) -> Generator[Any, Any, None]:
    # The task that runs this waits for what the coroutine waited for, and then continues it.
    yield waits_for
    yield from coroutine.__await__()
