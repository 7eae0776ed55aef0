"""What a server does before it takes its first request."""

import gc
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Step = Callable[[], Awaitable[object]]


class Lifespan:
    """An ASGI application of the protocol `lifespan`: it takes the steps of the start in order.

    Nothing is done at the end. It would not be done when a server is killed, nor when it is told
    twice to stop, so nothing may depend on it.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.failure = ""
        self._steps = steps

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one server's life."""
        await receive()
        try:
            for step in self._steps:
                await step()
        except Exception as error:
            log.debug("the start failed", exc_info=True)
            # manage.py serve ends with this sentence.
            self.failure = f"The server could not start: {type(error).__name__}: {error}"
            await send({"type": "lifespan.startup.failed"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def settle_memory() -> None:
    """Take what is loaded by now out of the garbage collector's sight: it stays for the life of the
    process, and to look through all of it stops every client for a tenth of a second each time."""
    gc.collect()
    gc.freeze()
