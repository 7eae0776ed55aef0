"""Work on the event loop that nobody awaits: detached, or repeated for as long as the loop runs."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

import structlog

log = structlog.get_logger(__name__)

P = ParamSpec("P")

# The event loop itself holds tasks weakly, so that one that nobody holds may vanish at work.
_tasks: set[asyncio.Task[None]] = set()


def spawn(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Run the work concurrently on the running loop, and return its task. An error that ends it is
    logged, since nobody awaits it."""
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_end)
    return task


async def every(
    seconds: float,
    step: Callable[P, Coroutine[Any, Any, None]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> None:
    """Do the step now, and again `seconds` after each time that it ended. One that fails is logged,
    and does not end the repetition."""
    while True:
        try:
            await step(*args, **kwargs)
        except Exception:
            log.warning("repeated work failed", work=step.__qualname__, exc_info=True)
        await asyncio.sleep(seconds)


def _end(task: "asyncio.Task[None]") -> None:
    _tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        work = getattr(task.get_coro(), "__qualname__", "")
        log.warning("background work failed", work=work, exc_info=error)
