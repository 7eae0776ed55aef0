"""Applying migrations: one process at a time, however many start together
(docs/decisions/0036-starting.md)."""

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from apps.core.private import private_file
from config.database_problems import problem_of

# The number of PostgreSQL's advisory lock, which is of this database alone.
LOCK = int.from_bytes(b"migrate", "big")
TRY_SECONDS = 0.2
RETRY_SECONDS = 1.0

Say = Callable[[str], object]


def pending_migrations() -> list[str]:
    """Return the migrations that this release has and the database has not, in their order. Those
    that only the database has are of a newer release, whose tables this one can use."""
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [str(migration) for migration, _ in plan]


def lacking(pending: Sequence[str]) -> str:
    """Return that the database lacks these migrations and what to do; if none, an empty string."""
    if not pending:
        return ""
    more = f" and {len(pending) - 1} more" if len(pending) > 1 else ""
    return (
        f"The database lacks migrations of this release: {pending[0]}{more}. Apply them with: "
        "python manage.py migrate, or serve with --migrate."
    )


def wait_for_database(connection: BaseDatabaseWrapper, say: Say) -> None:
    """Return when the database can be used. Say what is wrong, each time that it is something
    else."""
    said = ""
    while True:
        try:
            connection.ensure_connection()
        except Error as error:
            problem = problem_of(error)
            if not problem:
                raise
        else:
            return
        if problem != said:
            say(f"Waiting for the database. {problem}")
            said = problem
        time.sleep(RETRY_SECONDS)


@contextmanager
def migration_lock(connection: BaseDatabaseWrapper, say: Say) -> Iterator[None]:
    """Let no other process migrate this database during the block; say so if it has to wait. The
    lock of a process that dies is free at once."""
    with _lock_of(connection) as take:
        if not take():
            say("Waiting for another process, which migrates this database.")
            while not take():
                time.sleep(TRY_SECONDS)
        yield


@contextmanager
def _lock_of(connection: BaseDatabaseWrapper) -> Iterator[Callable[[], bool]]:
    """Yield what tries to take the lock; it is free again after the block."""
    if connection.vendor == "postgresql":
        with closing(connection.copy()) as own:
            # In a transaction, so that a PgBouncer that shares connections by transaction keeps
            # to one. A role may have a limit of idle transactions, which would end it.
            own.set_autocommit(False)
            with own.cursor() as cursor:
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield lambda: _took_advisory_lock(own)
    else:
        path = Path(f"{connection.settings_dict['NAME']}.migrate")
        private_file(path)
        with path.open("w") as file:
            yield lambda: _took_file_lock(file.fileno())


def _took_advisory_lock(connection: BaseDatabaseWrapper) -> bool:
    # Not the function that waits: CREATE INDEX CONCURRENTLY of the process that has the lock would
    # wait for the statement that waits for the lock.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def _took_file_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
