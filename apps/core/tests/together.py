"""Real threads for tests of races."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection, connections, transaction

from testing.server import until

T = TypeVar("T")


def together(*calls: Callable[[], T]) -> list[T | Exception]:
    """Make all calls at once, each in a thread with its own connection.

    Returns the result of each call, or the exception that it raised, in the order of the calls.
    """
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | Exception:
        start.wait(timeout=10)
        try:
            return _alone(call)
        except Exception as error:  # noqa: BLE001
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def overlapping(first: Callable[[], T], second: Callable[[], T]) -> tuple[T, T]:
    """Make the second call before the first call is committed, and commit the first when the second
    has returned or waits for a lock. Returns the results of both.

    It is for PostgreSQL: on SQLite the second call would always wait for the first.
    """
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            one = first()
            other = pool.submit(_alone, second)
            until(lambda: other.done() or _any_lock_waits())
        return one, other.result()


def _alone(call: Callable[[], T]) -> T:
    try:
        return call()
    finally:
        connections.close_all()


def _any_lock_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE NOT granted AND datname = current_database()"
        )
        return bool(cursor.fetchone()[0])
