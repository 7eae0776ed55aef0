"""Rows as text: what a backup reads from a table, and a restore writes to one.

The text is that of PostgreSQL's COPY: one line a row, tabs between the columns, `\\N` for null, and
backslashes before what would end a line or a column (PostgreSQL's manual, COPY, "Text Format").
PostgreSQL reads and writes it itself; for SQLite this package does. So an archive of one kind of
database can be restored into the other.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import ClassVar

from django.db import connection

from config.backup.tables import Table

# Rows are handed on in parts of about so many bytes.
CHUNK_BYTES = 256 * 1024


class Rows(ABC):
    """The rows of the present database, of one kind."""

    # What Django calls the kind.
    vendor: ClassVar[str]

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Have all reads of the block see the database as it is now, while others write on."""

    @abstractmethod
    def replacing(self) -> AbstractContextManager[None]:
        """Make the changes of the block, tables included, in one transaction, without a limit of
        time and with no other restore at the same time."""

    @abstractmethod
    def read(self, table: Table) -> Iterator[bytes]:
        """Yield the rows of a table as text, in the order of its key, in parts of whole lines."""

    @abstractmethod
    def write(self, table: Table, parts: Iterable[bytes]) -> None:
        """Add rows to a table. The parts may end anywhere."""

    @abstractmethod
    def drop(self, tables: Iterable[str]) -> None:
        """Remove tables, which may refer to each other."""


def rows_of_database() -> Rows:
    """Return the rows of the database that the settings name."""
    from config.backup.postgresql_rows import PostgresRows
    from config.backup.sqlite_rows import SqliteRows

    return SqliteRows() if connection.vendor == "sqlite" else PostgresRows()


def in_chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines to parts of about CHUNK_BYTES."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= CHUNK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
