"""Calls that go together: what callers ask for at one moment becomes one call.

A way to a thread and back, a statement and a call to Redis cost about the same for one caller as
for fifty. When a thousand clients come back at once, that decides how long they wait.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from apps.core.errors import Busy
from apps.core.http.handler import as_domain_error
from apps.core.waiting import Waiting
from apps.realtime.threads import WAIT_SECONDS

Item = TypeVar("Item")
Result = TypeVar("Result")

# How many items go together: more would hold the interpreter for too long.
LARGEST_CALL = 100
# How many calls run at once. One that hangs must not stop all others.
MOST_CALLS = 2

# An item, who waits for its result, and what ends their patience.
_Asked = tuple[Item, asyncio.Future[Result], asyncio.TimerHandle]
Call = Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]


class Together(Generic[Item, Result]):
    """The calls of one kind. Lives on the loop that uses it.

    `call` returns the outcome of each item in their order: its result, or the exception that its
    caller gets. An exception that it raises is for all of them. At most `largest` items go
    together, and `most` calls run at once. Owners take turns. Who waits for WAIT_SECONDS before
    their call begins is told Busy.
    """

    def __init__(
        self, call: Call[Item, Result], *, largest: int = LARGEST_CALL, most: int = MOST_CALLS
    ) -> None:
        self._call = call
        self._largest = largest
        self._most = most
        self._waiting: Waiting[_Asked[Item, Result]] = Waiting()
        self._running: set[asyncio.Task[None]] = set()

    def ask(self, item: Item, owner: Hashable = None) -> "asyncio.Future[Result]":
        """Return the future of an item's result. The owner is the client who asks."""
        loop = asyncio.get_running_loop()
        if not self._waiting and len(self._running) < self._most:
            # Others who have come already join before this runs. An empty context: a call is not
            # the work of the caller who came first.
            loop.call_soon(self._begin, context=Context())
        future: asyncio.Future[Result] = loop.create_future()
        impatience = loop.call_later(WAIT_SECONDS, _settle, future, Busy())
        self._waiting.add(owner, (item, future, impatience))
        return future

    def _begin(self) -> None:
        # More may wait than one call takes, and no later one may come to begin the rest.
        while len(self._running) < self._most and (asked := self._next()):
            task = asyncio.get_running_loop().create_task(self._run(asked))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _next(self) -> list[_Asked[Item, Result]]:
        """Return what is to go together, without those who do not wait any more."""
        asked: list[_Asked[Item, Result]] = []
        while self._waiting and not asked:
            for one in self._waiting.take(self._largest):
                one[2].cancel()
                if not one[1].done():
                    asked.append(one)
        return asked

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._begin()

    async def _run(self, asked: Sequence[_Asked[Item, Result]]) -> None:
        try:
            outcomes = await self._call([item for item, _, _ in asked])
        except Exception as error:  # noqa: BLE001
            outcomes = [as_domain_error(error)] * len(asked)
        for (_, future, _), outcome in zip(asked, outcomes, strict=True):
            _settle(future, outcome)


def _settle(future: "asyncio.Future[Result]", outcome: Result | Exception) -> None:
    # A caller that was cancelled meanwhile does not wait any more.
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
        # Its caller may not look; then nobody is to be told.
        future.exception()
    else:
        future.set_result(outcome)
