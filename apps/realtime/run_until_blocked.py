"""Running a coroutine as far as it goes without the event loop."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any


def run_until_blocked(coroutine: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None] | None:
    """Run the coroutine until it first has to wait. Return None when it never had to, else the
    rest of it, to be awaited in a task.

    To send one frame to thousands of sockets, of which nearly none makes the sender wait, this
    saves a task for each of them.
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
    # The task that runs this waits for what the coroutine waited for, then goes on with it.
    yield waits_for
    yield from coroutine.__await__()
