"""Reads that must agree with each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction


@contextmanager
def one_snapshot() -> Iterator[None]:
    """Let all statements of the block see the database as it is at the first of them.

    Nothing may be written in the block, and nobody waits for it. Inside a transaction, which has
    its own rules for what it sees, this does nothing.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
    else:
        with _deferred(connection), transaction.atomic():
            yield


@contextmanager
def _deferred(sqlite: Any) -> Iterator[None]:
    """Begin transactions without the lock that writers wait for."""
    sqlite.ensure_connection()
    usual = sqlite.transaction_mode
    sqlite.transaction_mode = None
    try:
        yield
    finally:
        sqlite.transaction_mode = usual
