"""Threads for what blocks, with a bound on how long and among how many a caller waits for one."""

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
    """What a thread is to do, and in whose share."""

    call: Callable[[], Any]
    owner: str = ""


class BoundedPool:
    """A fixed number of threads, and a queue in front of them that refuses whom it cannot serve.

    An executor alone queues without end: when its threads hang, every caller hangs with them and
    keeps what they hold. Here a caller waits at most `wait` seconds, behind at most `queue` others.
    Nothing waits inside the executor, so that who gives up leaves nothing behind there.

    Of the threads one `owner` has all but one at the most, so that nobody can hold all of them.
    """

    def __init__(self, name: str, threads: int, *, wait: float, queue: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._wait = wait
        self._queue = queue
        # The threads take the turns themselves, and the callers may be of several loops.
        self._lock = threading.Lock()
        self._free = threads
        self._share = max(1, threads - 1)
        self._held: Counter[str] = Counter()
        self._turns: OrderedDict[Future[Any], _Work] = OrderedDict()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the work returns, run in one of the threads; raise Busy.

        A caller that is cancelled while the work runs abandons it: the work goes on, and its
        thread is taken until it ends.
        """
        return await self.run_for("", partial(work, *args, **kwargs))

    async def run_for(self, owner: str, work: Callable[[], T]) -> T:
        """Do as run() does, in the owner's share of the threads. Nobody's work has no owner."""
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
        """Run the work for nobody, after those who wait, however many they are.

        For what must be done, also when its caller is cancelled, and takes next to no time.
        """
        turn: Future[object] = Future()
        turn.add_done_callback(_log_failure)
        self._begin(turn, _Work(work), queue=None)

    def _begin(self, turn: "Future[Any]", work: "_Work", queue: int | None) -> bool:
        """Return whether a thread was free; else the turn is queued, behind at most so many."""
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
        """Do the work, and then that of those who wait, for as long as there are any."""
        while True:
            _perform(turn, work.call)
            with self._lock:
                self._let_go(work)
                # Whoever has their share under way is passed over: one of those ends in a thread,
                # which then looks here again.
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

    def _let_go(self, work: "_Work") -> None:
        if work.owner:
            self._held[work.owner] -= 1
            if not self._held[work.owner]:
                del self._held[work.owner]

    def _expire(self, turn: "Future[Any]") -> None:
        if self._withdraw(turn):
            turn.set_exception(Busy())

    def _withdraw(self, turn: "Future[Any]") -> bool:
        """Take the turn out of the queue; return False when a thread has taken it before."""
        with self._lock:
            return self._turns.pop(turn, None) is not None


def _perform(turn: "Future[Any]", work: Callable[[], Any]) -> None:
    # False when the caller was cancelled at this very moment.
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
        log.error("work that nobody waits for failed", exc_info=error)
