"""Whether this process should get traffic: not without its database or its tables."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from config.vitals import ask_database

DEADLINE_SECONDS = 3


@dataclass(frozen=True)
class Database:
    """What was found of it."""

    answers: bool
    migrated: bool


class Readiness:
    """Looks at the database when it is asked, at most once at a time.

    A look that hangs keeps its one thread, which is in no pool; whoever asks meanwhile waits for
    the same look, and for no longer than the deadline.
    """

    def __init__(self, look: Callable[[], Database]) -> None:
        self._look = look
        self._looking: Future[Database] | None = None

    async def database(self) -> Database:
        """Return how the database is; one that does not say so in time is not there."""
        if self._looking is None or self._looking.done():
            self._looking = self._start()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await asyncio.wrap_future(self._looking)
        except TimeoutError:
            return Database(answers=False, migrated=False)

    def _start(self) -> Future[Database]:
        looking: Future[Database] = Future()
        # From now on nobody who waits can cancel it for the others.
        looking.set_running_or_notify_cancel()
        threading.Thread(
            target=lambda: looking.set_result(self._look()), name="readiness", daemon=True
        ).start()
        return looking


def look_at_database() -> Database:
    """Return how the database of this installation is, on a connection made for this look."""
    answers = migrated = False
    with suppress(Exception):
        ask_database()
        answers = True
        migrated = not _pending_migrations()
    connection.close()
    return Database(answers, migrated)


def _pending_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
