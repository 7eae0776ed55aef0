"""What a server does before it takes its first request."""

import gc
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from config.database_problems import problem_of

log = structlog.get_logger(__name__)

# More than a group of messages makes, so that its objects have ended by themselves before a
# collection visits them. After Python's own 700 they would count as old, and old objects are all
# visited once there is a quarter more of them. What only a collection can free is little.
NEW_OBJECTS = 50_000

Step = Callable[[], Awaitable[object]]


class Lifespan:
    """An ASGI application of the protocol `lifespan`, which runs the steps of the start in order.

    It does nothing at shutdown: a server that is killed, or told twice to stop, skips that part of
    the protocol, so nothing may depend on it.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.failure = ""
        self._steps = steps

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the steps when the server starts; complete or fail its startup."""
        await receive()
        try:
            for step in self._steps:
                await step()
        except Exception as error:
            log.debug("the start failed", exc_info=True)
            # manage.py serve ends with this sentence.
            self.failure = (
                problem_of(error) or f"The server could not start: {type(error).__name__}: {error}"
            )
            await send({"type": "lifespan.startup.failed"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def settle_memory() -> None:
    """Exclude the objects that are loaded by now from garbage collection: they live as long as the
    process, and a collection that visits them all stops every client for a tenth of a second. From
    now on let NEW_OBJECTS gather between collections."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
