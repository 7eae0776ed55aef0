"""SQL statements that the ORM cannot express, or for which it is too slow."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import orjson
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Expression, F, Field, Func, Model

from apps.core.db.prepared import statement_cursor

Fields = Sequence["Field[Any, Any]"]
Rows = Iterable[Sequence[Any]]


def insert(
    model: type[Model], names: Sequence[str], rows: Rows, then: str = ""
) -> list[tuple[Any, ...]]:
    """Insert rows in one statement and return the rows of its `RETURNING` clause.

    `names` are the model's fields and `rows` their values; rows are written and locked in this
    order. `then` is what follows the rows: ON CONFLICT and RETURNING clauses, in which `{table}`
    stands for the table's name.
    """
    given = list(rows)
    if not given:
        return []
    fields, columns = _columns(model, tuple(names))
    source, values = _SOURCES[connection.vendor](fields, columns, given)
    table = model._meta.db_table
    cursor = statement_cursor(connections[DEFAULT_DB_ALIAS])
    cursor.execute(f"INSERT INTO {table} ({columns}) {source} {then.format(table=table)}", values)
    return list(cursor.fetchall()) if "RETURNING" in then else []


def values_of(objects: Sequence[Model], names: Sequence[str]) -> list[list[Any]]:
    """Return the values of these fields of objects of one model, as rows for insert()."""
    if not objects:
        return []
    fields, _ = _columns(type(objects[0]), tuple(names))
    attributes = [field.attname for field in fields]
    return [[getattr(one, name) for name in attributes] for one in objects]


def update_objects(objects: Sequence[Model], names: Sequence[str]) -> None:
    """Write these fields of objects of one model, whose rows are locked, in one statement."""
    if not objects:
        return
    model = type(objects[0])
    key = model._meta.pk
    fields, columns = _columns(model, (key.name, *names))
    rows = values_of(objects, (key.name, *names))
    source, values = _SOURCES[connection.vendor](fields, columns, rows)
    table = model._meta.db_table
    written = ", ".join(f"{field.column} = given.{field.column}" for field in fields[1:])
    statement_cursor(connections[DEFAULT_DB_ALIAS]).execute(
        f"WITH given ({columns}) AS ({source}) UPDATE {table} SET {written} FROM given"  # noqa: S608
        f" WHERE {table}.{key.column} = given.{key.column}",
        values,
    )


def insert_objects(objects: Sequence[Model]) -> None:
    """Insert new objects of one model in one statement, which costs a fraction of bulk_create()."""
    if not objects:
        return
    model = type(objects[0])
    names = [field.name for field in model._meta.concrete_fields]
    insert(model, names, values_of(objects, names))
    for one in objects:
        one._state.adding = False


@contextmanager
def lock_timeout(milliseconds: int) -> Iterator[None]:
    """Limit how long the transactions of the block wait for a lock, on PostgreSQL. It is for work
    that holds up many requests, and that can go on without the locked rows."""
    wrapper: Any = connections[DEFAULT_DB_ALIAS]
    if wrapper.vendor != "postgresql":
        yield
        return
    before, wrapper.lock_milliseconds = wrapper.lock_milliseconds, milliseconds
    try:
        yield
    finally:
        wrapper.lock_milliseconds = before


@contextmanager
def nowait_locks() -> Iterator[None]:
    """Make a transaction of the block fail with OperationalError instead of waiting for a lock. It
    is for what a read writes, which a later request can write as well."""
    if connection.vendor == "postgresql":
        # Zero would switch the limit off.
        with lock_timeout(1):
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
    """Return the keys of the table's rows whose fields `names` equal one of `rows`. There must be
    a unique constraint on these fields, in this order.

    Each row is looked up in the index of the constraint by itself. For a join PostgreSQL reads all
    of a table that is small, or was when the statement was prepared.
    """
    fields, _ = _columns(model, tuple(names))
    same = " AND ".join(f"{{table}}.{field.column} = given.{field.column}" for field in fields)
    key = model._meta.pk
    look_up = f"SELECT (SELECT {key.column} FROM {{table}} WHERE {same}) FROM given"  # noqa: S608
    found = query_given(model, names, rows, look_up)
    return [key.to_python(value) for (value,) in found if value is not None]


def query_given(
    model: type[Model], names: Sequence[str], rows: Rows, statement: str
) -> list[tuple[Any, ...]]:
    """Return the rows of a statement that reads the given rows as a table `given`, whose columns
    are those of the model's fields `names`. In the statement `{table}` stands for the name of the
    model's table."""
    fields, columns = _columns(model, tuple(names))
    source, values = _SOURCES[connection.vendor](fields, columns, rows)
    cursor = statement_cursor(connections[DEFAULT_DB_ALIAS])
    text = statement.format(table=model._meta.db_table)
    cursor.execute(f"WITH given ({columns}) AS ({source}) {text}", values)
    return list(cursor.fetchall())


class SqlText(Func):
    """An expression written in SQL that both databases understand.

    In the text `{name}` stands for the argument of that name: a field of the outer query, or an
    expression. The ORM takes milliseconds to build such an expression from its own parts, above all
    from subqueries; this takes microseconds.
    """

    def __init__(
        self, text: str, output_field: "Field[Any, Any]", **arguments: str | Expression
    ) -> None:
        named = [F(one) if isinstance(one, str) else one for one in arguments.values()]
        super().__init__(*named, output_field=output_field)
        self._pieces = _PLACEHOLDERS.split(text)
        self._names = list(arguments)

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        """Return the text with each placeholder replaced, and the parameters in their order."""
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
_PLACEHOLDERS = re.compile(r"\{(\w+)\}")


def _as_json(fields: Fields, columns: str, rows: Rows) -> tuple[str, list[Any]]:
    """Pass the rows as one parameter. The driver searches the text of each statement for
    placeholders, and its time grows with their number; the server reads JSON much faster."""
    names = [field.column for field in fields]
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    typed = _typed_columns(tuple(fields))
    source = f"SELECT {columns} FROM jsonb_to_recordset(%s::jsonb) AS given({typed})"  # noqa: S608
    return source, [orjson.dumps(objects).decode()]


@cache
def _typed_columns(fields: "tuple[Field[Any, Any], ...]") -> str:
    return ", ".join(f"{field.column} {field.db_type(connection)}" for field in fields)


def _as_values(fields: Fields, columns: str, rows: Rows) -> tuple[str, list[Any]]:
    """Pass each value as a parameter of its own."""
    values = [
        field.get_db_prep_save(value, connection)
        for row in rows
        for field, value in zip(fields, row, strict=True)
    ]
    one = f"({', '.join(['%s'] * len(fields))})"
    return f"VALUES {', '.join([one] * (len(values) // len(fields)))}", values


_SOURCES = {"postgresql": _as_json, "sqlite": _as_values}


@cache
def _columns(model: type[Model], names: tuple[str, ...]) -> "tuple[Fields, str]":
    """Return the fields of these names, and their columns as a list in SQL."""
    fields = [_field(model, name) for name in names]
    return fields, ", ".join(str(field.column) for field in fields)


def _field(model: type[Model], name: str) -> "Field[Any, Any]":
    field = model._meta.get_field(name)
    assert isinstance(field, Field)
    return field
