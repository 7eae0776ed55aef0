"""Rows of SQLite. Its own SQL makes the text of a row, which is much faster than Python."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from django.db import connection, transaction

from config.backup.rows import Rows, in_chunks
from config.backup.tables import Table

ROWS_AT_ONCE = 2_000
CACHE_KILOBYTES = 256 * 1024
# What stands behind a backslash, for each character that must not stand in a column (COPY).
ESCAPES = {"\\": "\\", "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r"}
UNESCAPES = {letter: character for character, letter in ESCAPES.items()}
_ESCAPED = re.compile(r"\\(.)")


class SqliteRows(Rows):
    """See Rows."""

    vendor = "sqlite"

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See Rows. Unlike atomic(), this takes no lock that a write waits for; the first read
        fixes what all reads see."""
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                cursor.execute("SELECT count(*) FROM sqlite_master")
                yield
            finally:
                cursor.execute("ROLLBACK")

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """See Rows. Tables can only be changed while references are not checked, which is switched
        outside of a transaction."""
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
        try:
            with transaction.atomic():
                yield
        finally:
            # The next connection has the usual settings again.
            connection.close()

    def read(self, table: Table) -> Iterator[bytes]:
        """See Rows."""
        columns = " || char(9) || ".join(
            f"coalesce({_as_text(_quoted(name), kind)}, '\\N')"
            for name, kind in table.columns.items()
        )
        statement = (
            f"SELECT {columns} || char(10) FROM {_quoted(table.name)} ORDER BY {_quoted(table.key)}"  # noqa: S608
        )
        with connection.cursor() as cursor:
            cursor.execute(statement)
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                yield from in_chunks(line.encode() for (line,) in rows)

    def write(self, table: Table, parts: Iterable[bytes]) -> None:
        """See Rows."""
        columns = ", ".join(map(_quoted, table.columns))
        values = ", ".join(
            _from_text(f"?{number}", kind) for number, kind in enumerate(table.columns.values(), 1)
        )
        statement = f"INSERT INTO {_quoted(table.name)} ({columns}) VALUES ({values})"  # noqa: S608
        with connection.cursor() as cursor, connection.wrap_database_errors:
            # Django's own cursor takes another sign for the place of a value.
            insert = cursor.connection.executemany
            lines = _lines(parts)
            while some := list(islice(lines, ROWS_AT_ONCE)):
                insert(statement, map(_values, some))

    def drop(self, tables: Iterable[str]) -> None:
        """See Rows."""
        with connection.cursor() as cursor:
            for name in tables:
                cursor.execute(f"DROP TABLE {_quoted(name)}")


def _as_text(column: str, kind: str) -> str:
    """Return the expression that writes a column as PostgreSQL does."""
    match _family(kind):
        case "uuid":
            cuts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
            return " || '-' || ".join(f"substr({column}, {at}, {size})" for at, size in cuts)
        case "time":
            # Without the zeros at the end of a fraction of a second.
            trimmed = f"rtrim(rtrim({column}, '0'), '.')"
            return f"CASE instr({column}, '.') WHEN 0 THEN {column} ELSE {trimmed} END || '+00'"
        case "boolean":
            return f"CASE {column} WHEN 1 THEN 't' WHEN 0 THEN 'f' END"
        case "number":
            return f"CAST({column} AS TEXT)"
    for character, letter in ESCAPES.items():
        column = f"replace({column}, char({ord(character)}), '\\{letter}')"
    return column


def _from_text(value: str, kind: str) -> str:
    """Return the expression that reads a column as Django writes it."""
    match _family(kind):
        case "uuid":
            return f"replace({value}, '-', '')"
        case "time":
            # A fraction has six digits, so that times compare as text.
            clock = f"substr({value}, 1, length({value}) - 3)"
            padded = f"substr({clock} || '000000', 1, 26)"
            return f"CASE instr({value}, '.') WHEN 0 THEN {clock} ELSE {padded} END"
        case "boolean":
            return f"CASE {value} WHEN 't' THEN 1 WHEN 'f' THEN 0 END"
        case "number":
            return f"CAST({value} AS INTEGER)"
    return value


def _family(kind: str) -> str:
    """Return how a column's type is written as text; raise NotImplementedError for a type that no
    table has yet."""
    families = {"char(32)": "uuid", "datetime": "time", "bool": "boolean", "text": "text"}
    if kind in families:
        return families[kind]
    if kind.startswith("varchar"):
        return "text"
    if "int" in kind:
        return "number"
    raise NotImplementedError(f"Say here how a column of the type {kind} is written as text.")


def _lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a text that is cut anywhere."""
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
    if rest:
        raise ValueError("A table ends in the middle of a row.")


def _values(line: bytes) -> list[str | None]:
    """Return the columns of a row."""
    return [
        value if "\\" not in value else None if value == "\\N" else _ESCAPED.sub(_unescape, value)
        for value in line.decode().split("\t")
    ]


def _unescape(found: re.Match[str]) -> str:
    return UNESCAPES[found[1]]


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
