"""Threads for what blocks, with a bound on how long and among how many a caller waits for one."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from apps.core.errors import ServiceUnavailable

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
        # Threads give their place back themselves, and the callers may be of several loops.
        self._lock = threading.Lock()
        self._free = threads
        self._turns: deque[Future[None]] = deque()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the work returns, run in one of the threads; raise ServiceUnavailable.

        A caller that is cancelled while the work runs abandons it: the work goes on, and its
        place is taken until it ends.
        """
        await self._take_place()
        running = self._executor.submit(work, *args, **kwargs)
        running.add_done_callback(self._give_back)
        return await asyncio.wrap_future(running)

    async def _take_place(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            if len(self._turns) >= self._queue:
                raise _busy()
            turn: Future[None] = Future()
            self._turns.append(turn)
        try:
            async with asyncio.timeout(self._wait):
                await asyncio.wrap_future(turn)
        except BaseException as error:
            self._leave(turn)
            if isinstance(error, TimeoutError):
                raise _busy() from error
            raise

    def _leave(self, turn: "Future[None]") -> None:
        if not turn.cancel():
            # Its turn came while it was leaving.
            self._give_back()
            return
        with self._lock:
            if turn in self._turns:
                self._turns.remove(turn)

    def _give_back(self, _: "Future[T] | None" = None) -> None:
        with self._lock:
            while self._turns:
                turn = self._turns.popleft()
                # False for one that is being cancelled at this moment.
                if turn.set_running_or_notify_cancel():
                    turn.set_result(None)
                    return
            self._free += 1


def _busy() -> ServiceUnavailable:
    return ServiceUnavailable("The server is busy. Try again in a moment.")
