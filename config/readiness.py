"""Whether this process should get traffic: not without its database or its tables."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from django.db import connection

from config.health_checks import query_database
from config.migrating import pending_migrations

DEADLINE_SECONDS = 3


@dataclass(frozen=True)
class DatabaseState:
    """Whether the database answers, and whether all migrations are applied to it."""

    answers: bool
    migrated: bool


class Readiness:
    """Checks the database when a request asks for it, one check at a time.

    A check that hangs holds its one thread, which is in no pool. Requests that come meanwhile wait
    for the result of the same check, and no longer than the deadline.
    """

    def __init__(self, check: Callable[[], DatabaseState]) -> None:
        self._check = check
        self._checking: Future[DatabaseState] | None = None

    async def database(self) -> DatabaseState:
        """Return the state of the database; after the deadline, that it does not answer."""
        if self._checking is None or self._checking.done():
            self._checking = self._start()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await asyncio.wrap_future(self._checking)
        except TimeoutError:
            return DatabaseState(answers=False, migrated=False)

    def _start(self) -> Future[DatabaseState]:
        checking: Future[DatabaseState] = Future()
        # From now on a request that gives up cannot cancel the future for the others.
        checking.set_running_or_notify_cancel()
        threading.Thread(
            target=lambda: checking.set_result(self._check()), name="readiness", daemon=True
        ).start()
        return checking


def database_state() -> DatabaseState:
    """Return the state of this installation's database, checked on a new connection."""
    answers = migrated = False
    with suppress(Exception):
        query_database()
        answers = True
        migrated = not pending_migrations()
    connection.close()
    return DatabaseState(answers, migrated)
