"""Threads for blocking work, with bounds on how long callers wait for one and how many may wait."""

import asyncio
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

import structlog

from apps.core.errors import Busy

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class _Work:
    """A call for a thread, and the owner in whose share it runs."""

    call: Callable[[], Any]
    owner: str = ""


class BoundedPool:
    """A fixed number of threads with a bounded queue, which refuses work that it cannot serve.

    The queue of a plain executor has no bound: when its threads hang, every caller hangs with them
    and keeps its resources. Here a caller waits at most `wait` seconds, behind at most `queue`
    others. Nothing waits inside the executor, so a caller that gives up leaves nothing behind.

    One `owner` gets all threads but one at most, so that no client can hold all of them.
    """

    def __init__(self, name: str, threads: int, *, wait: float, queue: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._wait = wait
        self._queue = queue
        # Threads take turns from the queue themselves, and callers may run in several event loops.
        self._lock = threading.Lock()
        self._free = threads
        self._share = max(1, threads - 1)
        self._held: Counter[str] = Counter()
        self._turns: OrderedDict[Future[Any], _Work] = OrderedDict()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the work in one of the threads and return its result; raise Busy.

        When the caller is cancelled while the work runs, the work goes on and holds its thread
        until it ends.
        """
        return await self.run_for("", partial(work, *args, **kwargs))

    async def run_for(self, owner: str, work: Callable[[], T]) -> T:
        """Do what run() does, in the owner's share of the threads. The owner "" has no share, and
        may hold every thread."""
        turn: Future[T] = Future()
        begun = self._begin(turn, _Work(work, owner), self._queue)
        done = asyncio.wrap_future(turn)
        if begun:
            return await done
        timer = asyncio.get_running_loop().call_later(self._wait, self._expire, turn)
        try:
            return await done
        finally:
            timer.cancel()
            self._withdraw(turn)

    def later(self, work: Callable[[], object]) -> None:
        """Run the work when a thread is free, behind all who wait; no caller waits for it.

        It is for short work that must be done even when its caller is cancelled.
        """
        turn: Future[object] = Future()
        turn.add_done_callback(_log_failure)
        self._begin(turn, _Work(work), queue=None)

    def _begin(self, turn: "Future[Any]", work: "_Work", queue: int | None) -> bool:
        """Start the work and return True if a thread is free. Otherwise queue the turn, behind at
        most `queue` others, and return False."""
        with self._lock:
            if not self._free or not self._may_run(work):
                if queue is not None and len(self._turns) >= queue:
                    raise Busy
                self._turns[turn] = work
                return False
            self._free -= 1
            self._hold(work)
        self._executor.submit(self._work, turn, work)
        return True

    def _work(self, turn: "Future[Any]", work: "_Work") -> None:
        """Do the work, and then the work of waiting callers, until none waits."""
        while True:
            _perform(turn, work.call)
            with self._lock:
                self._release(work)
                # An owner with a full share is skipped. When one of their works ends, its thread
                # looks for the next turn here again.
                following = next(
                    (one for one in self._turns.items() if self._may_run(one[1])), None
                )
                if following is None:
                    self._free += 1
                    return
                turn, work = following
                del self._turns[turn]
                self._hold(work)

    def _may_run(self, work: "_Work") -> bool:
        return not work.owner or self._held[work.owner] < self._share

    def _hold(self, work: "_Work") -> None:
        if work.owner:
            self._held[work.owner] += 1

    def _release(self, work: "_Work") -> None:
        if work.owner:
            self._held[work.owner] -= 1
            if not self._held[work.owner]:
                del self._held[work.owner]

    def _expire(self, turn: "Future[Any]") -> None:
        if self._withdraw(turn):
            turn.set_exception(Busy())

    def _withdraw(self, turn: "Future[Any]") -> bool:
        """Take the turn out of the queue; return False if a thread has taken it already."""
        with self._lock:
            return self._turns.pop(turn, None) is not None


def _perform(turn: "Future[Any]", work: Callable[[], Any]) -> None:
    # It returns False if the caller was cancelled a moment ago.
    if not turn.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001
        turn.set_exception(error)
    else:
        turn.set_result(result)


def _log_failure(done: "Future[object]") -> None:
    if error := done.exception():
        log.error("background work failed", exc_info=error)
