"""The statements that the ORM has no words for, or is too slow at."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import orjson
from django.db import DatabaseError, connection
from django.db.models import Expression, F, Field, Func, Model

Fields = Sequence["Field[Any, Any]"]
Rows = Iterable[Sequence[Any]]


def insert(
    model: type[Model], names: Sequence[str], rows: Rows, then: str = ""
) -> list[tuple[Any, ...]]:
    """Insert rows in one statement and return what its `RETURNING` gives.

    `names` are the model's fields and `rows` their values, in the order in which the rows shall be
    written and so locked. `then` follows the rows: ON CONFLICT and RETURNING, in which `{table}`
    stands for the table's name.
    """
    fields = [_field(model, name) for name in names]
    columns = ", ".join(str(field.column) for field in fields)
    given = list(rows)
    if not given:
        return []
    source, values = _SOURCES[connection.vendor](fields, columns, given)
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) {source} {then.format(table=table)}",
            values,
        )
        return list(cursor.fetchall()) if "RETURNING" in then else []


@contextmanager
def waiting_briefly(milliseconds: int) -> Iterator[None]:
    """Have the statements of the block wait for a lock no longer than this, on PostgreSQL. For work
    that many others wait for, and that can be done without what is locked."""
    if connection.vendor != "postgresql":
        yield
        return
    set_to = "SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, false)"
    with connection.cursor() as cursor:
        cursor.execute(set_to, [f"{milliseconds}ms"])
        before, _ = cursor.fetchone()
    try:
        yield
    finally:
        # A connection that was lost is made anew, with the setting of all.
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute(set_to, [before])


@contextmanager
def not_waiting() -> Iterator[None]:
    """Have a statement of the block fail with OperationalError where it would wait for a lock. For
    what a read writes: it can be written another time."""
    if connection.vendor == "postgresql":
        # Zero would be no limit.
        with waiting_briefly(1):
            yield
        return
    with connection.cursor() as cursor:
        [before] = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {before}")


def matching(model: type[Model], names: Sequence[str], rows: Rows) -> list[Any]:
    """Return the keys of those rows of the table whose fields `names` are as in one of `rows`, all
    together and not each by itself. There must be an index that begins with these fields."""
    fields = [_field(model, name) for name in names]
    columns = ", ".join(str(field.column) for field in fields)
    source, values = _SOURCES[connection.vendor](fields, columns, rows)
    key = model._meta.pk
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key.column} FROM {model._meta.db_table} WHERE ({columns}) IN ({source})",  # noqa: S608
            values,
        )
        return [key.to_python(value) for (value,) in cursor.fetchall()]


class SqlText(Func):
    """An expression that is written in SQL, which both databases must understand.

    In the text `{name}` stands for the argument of that name: a field of the query around, or an
    expression. To build the same of the ORM's parts, subqueries above all, takes it milliseconds
    each time; this takes it some microseconds.
    """

    def __init__(
        self, text: str, output_field: "Field[Any, Any]", **arguments: str | Expression
    ) -> None:
        named = [F(one) if isinstance(one, str) else one for one in arguments.values()]
        super().__init__(*named, output_field=output_field)
        self._pieces = _PLACES.split(text)
        self._names = list(arguments)

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        """Return the text with each place filled in, and the parameters in their order."""
        compiled = [compiler.compile(one) for one in self.get_source_expressions()]
        arguments = dict(zip(self._names, compiled, strict=True))
        text, values = [], []
        for number, piece in enumerate(self._pieces):
            if number % 2:
                sql, parameters = arguments[piece]
                text.append(sql)
                values += parameters
            else:
                text.append(piece)
        return "".join(text), values


# Splits into text, name, text, name … text.
_PLACES = re.compile(r"\{(\w+)\}")


def _as_json(fields: Fields, columns: str, rows: Rows) -> tuple[str, list[Any]]:
    """Give the rows as one parameter. The driver's time grows with the number of placeholders,
    which it looks for in the text again for each statement; the server reads JSON much faster."""
    typed = ", ".join(f"{field.column} {field.db_type(connection)}" for field in fields)
    objects = [dict(zip((field.column for field in fields), row, strict=True)) for row in rows]
    source = f"SELECT {columns} FROM jsonb_to_recordset(%s::jsonb) AS given({typed})"  # noqa: S608
    return source, [orjson.dumps(objects).decode()]


def _as_values(fields: Fields, columns: str, rows: Rows) -> tuple[str, list[Any]]:
    """Give each value a placeholder."""
    values = [
        field.get_db_prep_save(value, connection)
        for row in rows
        for field, value in zip(fields, row, strict=True)
    ]
    one = f"({', '.join(['%s'] * len(fields))})"
    return f"VALUES {', '.join([one] * (len(values) // len(fields)))}", values


_SOURCES = {"postgresql": _as_json, "sqlite": _as_values}


def _field(model: type[Model], name: str) -> "Field[Any, Any]":
    field = model._meta.get_field(name)
    assert isinstance(field, Field)
    return field
