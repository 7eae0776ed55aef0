"""Rows of PostgreSQL, which reads and writes their text itself."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from config.backup.rows import Rows, in_chunks
from config.backup.tables import Table
from config.migrating import LOCK

# Seconds that a restore waits for tables which a running process uses.
LOCK_SECONDS = 10


class PostgresRows(Rows):
    """See Rows."""

    vendor = "postgresql"

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See Rows. The transaction of a snapshot keeps what it sees, and locks no row."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            _lift_limits()
            cursor.execute("SET LOCAL DateStyle = 'ISO'")
            yield

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """See Rows."""
        with transaction.atomic(), connection.cursor() as cursor:
            _lift_limits()
            cursor.execute("SET LOCAL DateStyle = 'ISO'")
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            # Neither a migration nor another restore may run at the same time.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            yield

    def read(self, table: Table) -> Iterator[bytes]:
        """See Rows. Text is ordered by its bytes, whatever the order of the database is."""
        order = _quoted(table.key)
        if table.columns[table.key].startswith("varchar"):
            order += ' COLLATE "C"'
        select = f"SELECT {_columns(table)} FROM {_quoted(table.name)} ORDER BY {order}"  # noqa: S608
        with (
            connection.cursor() as cursor,
            connection.wrap_database_errors,
            cursor.copy(f"COPY ({select}) TO STDOUT") as copy,
        ):
            yield from in_chunks(map(bytes, copy))

    def write(self, table: Table, parts: Iterable[bytes]) -> None:
        """See Rows. A row may refer to one of a table that is written later."""
        command = f"COPY {_quoted(table.name)} ({_columns(table)}) FROM STDIN"
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            with connection.wrap_database_errors, cursor.copy(command) as copy:
                for part in parts:
                    copy.write(part)
            if table.columns[table.key] in {"integer", "bigint"}:
                self._continue_numbers(table)

    def drop(self, tables: Iterable[str]) -> None:
        """See Rows."""
        if names := ", ".join(map(_quoted, tables)):
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE {names}")

    def _continue_numbers(self, table: Table) -> None:
        """Have the next row get a number above those that were written."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [table.name, table.key])
            [sequence] = cursor.fetchone()
            if sequence:
                cursor.execute(
                    f"SELECT setval(%s, greatest(max({_quoted(table.key)}), 1), count(*) > 0)"  # noqa: S608
                    f" FROM {_quoted(table.name)}",
                    [sequence],
                )


def _lift_limits() -> None:
    with connection.cursor() as cursor:
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SET LOCAL {limit} = 0")


def _columns(table: Table) -> str:
    return ", ".join(map(_quoted, table.columns))


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
