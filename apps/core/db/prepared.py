"""Querysets that are compiled once and then only bound and run: prepared selectors.

To build a queryset and compile it takes the ORM about a millisecond of processor, each time. A
prepared selector is written as a queryset with holes, which is compiled at its first use. On
PostgreSQL it runs as a prepared statement, so that the server parses it once for each connection
as well; docs/decisions/0029-prepared-selectors.md has the measurements.
"""

import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import orjson
import psycopg
from django.db import DEFAULT_DB_ALIAS, NotSupportedError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper
from django.db.models import Expression, F, Field, JSONField, Lookup, QuerySet
from django.db.models.expressions import Col
from django.db.models.query import (
    ModelIterable,
    NamedValuesListIterable,
    ValuesListIterable,
    get_related_populators,
)
from psycopg import sql
from psycopg.types.datetime import TimestamptzLoader

Row = TypeVar("Row")


class Hole(Expression):
    """A value that is given by its name when the queryset is run, and converted as the field does.

    The field is given, since an expression in SQL text has no other."""

    def __init__(self, name: str, field: "Field[Any, Any]") -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        """Return a placeholder, with the hole itself for its parameter."""
        return "%s", [self]

    def bound(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Return the parameter for a value."""
        return self.output_field.get_db_prep_value(value, connection)


class _Holes(Hole):
    """A hole for any number of values."""

    def bound(self, value: Iterable[Any], connection: BaseDatabaseWrapper) -> Any:
        """Return the one parameter that holds all values."""
        values = [super(_Holes, self).bound(one, connection) for one in value]
        return values if connection.vendor == "postgresql" else orjson.dumps(values).decode()


class OneOf(Lookup):
    """The condition that a field has one of the values that are given under a name. One statement
    serves any number of values, while `__in` has a placeholder for each."""

    prepare_rhs = False

    def __init__(self, path: str, name: str, field: "Field[Any, Any]") -> None:
        super().__init__(F(path), _Holes(name, field))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        """Return the condition in SQL."""
        left, values = self.process_lhs(compiler, connection)
        right, hole = compiler.compile(self.rhs)
        if connection.vendor == "postgresql":
            return f"{left} = ANY({right})", [*values, *hole]
        return f"{left} IN (SELECT value FROM json_each({right}))", [*values, *hole]  # noqa: S608


@dataclass(frozen=True)
class _Compiled:
    """A statement, its columns, its parameters and holes in their order, and how its rows become
    results."""

    text: str
    returned: str
    parameters: Sequence[Any]
    converters: Sequence[tuple[int, Sequence[Callable[..., Any]], Any]]
    result: Callable[[Sequence[Any]], Any]


class Prepared(Generic[Row]):
    """A queryset with holes, of objects or of `values_list()`. It may be used from any thread.

    It is given as a function without arguments, since the models are not loaded when a module with
    selectors is imported. The function runs once for each kind of database.

    `skipped` is a hole for how many results are skipped, of a queryset that is sliced from its
    beginning: a slice cannot hold one.
    """

    def __init__(
        self, queryset: Callable[[], QuerySet[Any, Row]], skipped: Hole | None = None
    ) -> None:
        self._queryset = queryset
        self._skipped = skipped
        self._compiled: dict[str, _Compiled] = {}

    def all(self, **values: Any) -> list[Row]:
        """Return the results for the values of the holes; raise what a queryset raises."""
        connection = connections[DEFAULT_DB_ALIAS]
        compiled = self._compile_once(connection)
        parameters = [
            one.bound(values[one.name], connection) if isinstance(one, Hole) else one
            for one in compiled.parameters
        ]
        return _results(connection, compiled, compiled.text, parameters)

    def first(self, **values: Any) -> Row | None:
        """Return the first of the results, or None. It is for querysets that find one at most."""
        return next(iter(self.all(**values)), None)

    def written(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        """Run a statement that writes to the table of the queryset, and return the rows that it has
        written, as the queryset would. It has no RETURNING clause."""
        connection = connections[DEFAULT_DB_ALIAS]
        compiled = self._compile_once(connection)
        text = f"{statement} RETURNING {compiled.returned}"
        return _results(connection, compiled, text, parameters)

    def _compile_once(self, connection: BaseDatabaseWrapper) -> _Compiled:
        compiled = self._compiled.get(connection.vendor)
        if compiled is None:
            compiled = self._compiled[connection.vendor] = _compile(self._queryset(), self._skipped)
        return compiled


def _compile(queryset: QuerySet[Any, Any], skipped: Hole | None) -> _Compiled:
    # The converters belong to the connection that they were made for. This one is never opened, and
    # no thread's own, so that nothing keeps the connection of a thread that ended.
    connection = connections.create_connection(DEFAULT_DB_ALIAS)
    compiler = queryset.query.get_compiler(connection=connection)
    text, parameters = compiler.as_sql()
    if connection.vendor == "postgresql":
        text, parameters = _with_literals(text, parameters)
    if skipped is not None:
        text, parameters = f"{text} OFFSET %s", [*parameters, skipped]
    columns = [column for column, *_ in compiler.select[: compiler.col_count]]
    converters = compiler.get_converters(columns)
    return _Compiled(
        text,
        ", ".join(column for _, (column, _), _ in compiler.select),
        parameters,
        [
            (position, [_faster(one, column) for one in found], column)
            for position, (found, column) in converters.items()
        ],
        _result(queryset, compiler),
    )


def _faster(convert: Callable[..., Any], column: Any) -> Callable[..., Any]:
    """Return a converter that gives the same. Python's own reader of JSON takes most of the time of
    a list of posts."""
    field = getattr(convert, "__self__", None)
    plain = type(field) is JSONField and field.decoder is None and isinstance(column, Col)
    return _read_json if plain else convert


def _read_json(value: str | None, expression: Any, connection: BaseDatabaseWrapper) -> Any:
    return None if value is None else orjson.loads(value)


def _with_literals(text: str, parameters: Sequence[Any]) -> tuple[str, list[Hole]]:
    """Return the statement with holes only. PostgreSQL uses a partial index only if the condition
    of the index stands in the statement."""
    left = iter(parameters)
    holes = []

    def replaced(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%%"
        parameter = next(left)
        if isinstance(parameter, Hole):
            holes.append(parameter)
            return "%s"
        return sql.Literal(parameter).as_string(None).replace("%", "%%")

    return re.sub("%%|%s", replaced, text), holes


def _result(queryset: QuerySet[Any, Any], compiler: Any) -> Callable[[Sequence[Any]], Any]:
    """Return the function that makes a result of a row, as the queryset would."""
    kind = queryset._iterable_class
    if kind is ValuesListIterable:
        return tuple
    if kind is NamedValuesListIterable:
        row: Any = namedtuple("Row", vars(queryset)["_fields"])  # type: ignore[misc]
        return cast("Callable[[Sequence[Any]], Any]", row._make)
    if kind is not ModelIterable:
        raise TypeError("A prepared queryset gives objects, or tuples with values_list().")
    # What follows is what ModelIterable does, with all that does not change taken out of its loop.
    info, select = compiler.klass_info, compiler.select
    start, end = info["select_fields"][0], info["select_fields"][-1] + 1
    names = [column.target.attname for column, *_ in select[start:end]]
    # The stub packages describe a later Django.
    related = get_related_populators(info, select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]
    annotations = list(compiler.annotation_col_map.items())

    def instance(row: Sequence[Any]) -> Any:
        found = info["model"].from_db(DEFAULT_DB_ALIAS, names, row[start:end])
        for populator in related:
            populator.populate(row, found)
        for name, position in annotations:
            setattr(found, name, row[position])
        return found

    return instance


def _results(
    connection: BaseDatabaseWrapper, compiled: _Compiled, text: str, parameters: Sequence[Any]
) -> list[Any]:
    rows = _fetch(connection, text, parameters)
    if compiled.converters:
        rows = [_converted(row, compiled.converters, connection) for row in rows]
    return [compiled.result(row) for row in rows]


def _converted(row: Sequence[Any], converters: Any, connection: BaseDatabaseWrapper) -> list[Any]:
    values = list(row)
    for position, functions, column in converters:
        for function in functions:
            values[position] = function(values[position], column, connection)
    return values


def _fetch(connection: BaseDatabaseWrapper, text: str, parameters: Sequence[Any]) -> list[Any]:
    """Run the statement through Django's cursor, which translates errors, and lets tests and
    wrappers see it."""
    try:
        cursor = statement_cursor(connection)
        cursor.execute(text, parameters)
    except NotSupportedError:
        # A migration has changed the type of a column since the statement was prepared ("cached
        # plan must not change result type"). A new connection prepares it anew.
        if connection.in_atomic_block:
            raise
        connection.close()
        cursor = statement_cursor(connection)
        cursor.execute(text, parameters)
    return list(cursor.fetchall())


def statement_cursor(connection: BaseDatabaseWrapper) -> CursorWrapper:
    """Return a cursor for statements whose text does not change. On PostgreSQL it prepares them, as
    far as the setting of the connection allows.

    Each connection keeps one, since a new one looks up anew how to read each type.
    """
    if connection.vendor != "postgresql":
        return connection.cursor()
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    kept: psycopg.Cursor[Any] | None = vars(connection).get(_CURSOR)
    if kept is None or kept.connection is not connection.connection:
        # Django's own cursor puts the values into the text of the statement.
        kept = psycopg.Cursor(connection.connection)
        # Django's loader is written in Python for the sake of other time zones than UTC, and takes
        # most of the time of a list.
        kept.adapters.register_loader("timestamptz", TimestamptzLoader)
        vars(connection)[_CURSOR] = kept
    return (_LoggedCursor if connection.queries_logged else CursorWrapper)(kept, connection)


# The attribute of Django's connection that holds the cursor, so that both end together.
_CURSOR = "prepared_selectors_cursor"


class _LoggedCursor(CursorDebugWrapper):
    """Logs the statement as it is prepared. Django would ask its own cursor for it."""

    def execute(self, sql: Any, params: Any = None) -> Any:
        """Run the statement."""
        with self.debug_sql(sql, params):
            return CursorWrapper.execute(self, sql, params)
