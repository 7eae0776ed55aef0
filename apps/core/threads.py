"""Threads for what blocks, with a bound on how long and among how many a caller waits for one."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

import structlog

from apps.core.errors import Busy

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class BoundedPool:
    """A fixed number of threads, and a queue in front of them that refuses whom it cannot serve.

    An executor alone queues without end: when its threads hang, every caller hangs with them and
    keeps what they hold. Here a caller waits at most `wait` seconds, behind at most `queue` others.
    Nothing waits inside the executor, so that who gives up leaves nothing behind there.
    """

    def __init__(self, name: str, threads: int, *, wait: float, queue: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._wait = wait
        self._queue = queue
        # The threads take the turns themselves, and the callers may be of several loops.
        self._lock = threading.Lock()
        self._free = threads
        self._turns: OrderedDict[Future[Any], Callable[[], Any]] = OrderedDict()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the work returns, run in one of the threads; raise Busy.

        A caller that is cancelled while the work runs abandons it: the work goes on, and its
        thread is taken until it ends.
        """
        turn: Future[T] = Future()
        begun = self._begin(turn, partial(work, *args, **kwargs), self._queue)
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
        self._begin(turn, work, queue=None)

    def _begin(self, turn: "Future[Any]", work: Callable[[], Any], queue: int | None) -> bool:
        """Return whether a thread was free; else the turn is queued, behind at most so many."""
        with self._lock:
            if not self._free:
                if queue is not None and len(self._turns) >= queue:
                    raise Busy
                self._turns[turn] = work
                return False
            self._free -= 1
        self._executor.submit(self._work, turn, work)
        return True

    def _work(self, turn: "Future[Any]", work: Callable[[], Any]) -> None:
        """Do the work, and then that of those who wait, for as long as there are any."""
        _perform(turn, work)
        while True:
            with self._lock:
                if not self._turns:
                    self._free += 1
                    return
                turn, work = self._turns.popitem(last=False)
            _perform(turn, work)

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
