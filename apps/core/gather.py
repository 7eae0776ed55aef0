"""Loads that are gathered: the keys that callers ask for at one moment become one call in a thread.

A statement costs about the same for one key as for twenty, and so does the way to a thread and
back. Callers who ask for the same key share its load.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from apps.core.kept import Kept, LoadStart
from apps.core.waiting import Waiting

K = TypeVar("K")
V = TypeVar("V")

# How many keys one call loads: its rendering holds the interpreter for some milliseconds.
LARGEST_LOAD = 50
# How many calls run at once. One that hangs must not stop all others.
MOST_LOADS = 2

Load = Callable[[Sequence[K]], Mapping[K, V]]
InThread = Callable[[Load[K, V], Sequence[K]], Awaitable[Mapping[K, V]]]


@dataclass
class _Flight(Generic[V]):
    """The load of one key, for all who ask for it."""

    future: "asyncio.Future[V | None]"
    # None while it waits.
    start: LoadStart | None = None


@dataclass
class Gather(Generic[K, V]):
    """The loads of one kind. Lives on the loop that uses it.

    `load` returns the values of those keys that exist, and runs by `in_thread`. `keep` is called
    with each of them and the start of its load. `cache` tells whether something has changed since a
    load began: such a load is not joined, since who asks now may have been told of the change.

    One call loads at most `most` keys. Owners take turns, so one of them who asks for many keys
    delays the others by a few.
    """

    load: Load[K, V]
    in_thread: InThread[K, V]
    cache: Kept[V]
    keep: Callable[[K, V, LoadStart], None]
    most: int = LARGEST_LOAD
    _flights: dict[K, _Flight[V]] = field(default_factory=dict)
    _waiting: Waiting[K] = field(default_factory=Waiting)
    _running: set["asyncio.Task[None]"] = field(default_factory=set)

    def get(self, key: K, owner: str = "") -> "asyncio.Future[V | None]":
        """Return the future of a key's value, which is None if there is none. Callers share it, so
        none may cancel it. The owner is the client who asks."""
        flight = self._flights.get(key)
        if flight is not None and (
            flight.start is None or self.cache.unchanged_since(flight.start)
        ):
            return flight.future
        loop = asyncio.get_running_loop()
        flight = self._flights[key] = _Flight(loop.create_future())
        if not self._waiting and len(self._running) < MOST_LOADS:
            # The other requests that have arrived already join before this runs.
            loop.call_soon(self._begin)
        self._waiting.add(owner, key)
        return flight.future

    def _begin(self) -> None:
        # More may wait than one call takes, and no later call may come to begin the rest.
        while self._waiting and len(self._running) < MOST_LOADS:
            task = asyncio.get_running_loop().create_task(self._run(self._waiting.take(self.most)))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._begin()

    async def _run(self, keys: Sequence[K]) -> None:
        start = self.cache.begin()
        flights = {key: self._flights[key] for key in keys}
        for flight in flights.values():
            flight.start = start
        try:
            found = await self.in_thread(self.load, keys)
            for key, value in found.items():
                self.keep(key, value, start)
        except BaseException as error:  # noqa: BLE001
            failure = error
            self._settle(flights, lambda future, _: _fail(future, failure))
        else:
            self._settle(flights, lambda future, key: future.set_result(found.get(key)))

    def _settle(
        self,
        flights: Mapping[K, _Flight[V]],
        end: Callable[["asyncio.Future[V | None]", K], None],
    ) -> None:
        for key, flight in flights.items():
            # A later load of the same key may have taken its place.
            if self._flights.get(key) is flight:
                del self._flights[key]
            if not flight.future.done():
                end(flight.future, key)


def _fail(future: "asyncio.Future[V | None]", error: BaseException) -> None:
    future.set_exception(error)
    # Its callers may all be gone; then nobody is to be told.
    future.exception()
