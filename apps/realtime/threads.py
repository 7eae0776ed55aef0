"""Blocking work of the websockets.

By default all of a process's `database_sync_to_async` calls share one thread; these have a pool of
their own, as large as the connections that they may take.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections

from apps.core.threads import BoundedPool

P = ParamSpec("P")
T = TypeVar("T")

# Each socket has one frame at work at a time, so no more callers wait than there are sockets. None
# of them waits for longer than this behind a database that hangs.
WAIT_SECONDS = 10
MOST_WAITING = 100_000


@cache
def pool() -> BoundedPool:
    """Return the threads of this process."""
    return BoundedPool("realtime", settings.REALTIME_THREADS, wait=WAIT_SECONDS, queue=MOST_WAITING)


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what the work returns, run in a thread of the pool with a usable connection; raise
    Busy when no thread is free in time."""
    return await _run("", partial(work, *args, **kwargs))


async def in_redis_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do the same with work that asks Redis. Such work never has all of the threads, so that
    messages and reads of the log do not wait for a Redis that hangs."""
    return await _run("redis", partial(work, *args, **kwargs))


async def in_poll_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do the same for a poll. One event may end a thousand of them, and what they then ask never
    has all of the threads, so that sockets do not wait for it."""
    return await _run("polls", partial(work, *args, **kwargs))


async def _run(owner: str, work: Callable[[], T]) -> T:
    def run() -> T:
        close_old_connections()
        return work()

    return await pool().run_for(owner, run)


def later(work: Callable[[], object]) -> None:
    """Do the work as soon as a thread is free, however long that takes; nobody awaits it."""

    def run() -> None:
        close_old_connections()
        work()

    pool().later(run)
