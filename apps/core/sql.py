"""The one statement that the ORM has no words for, or is too slow at."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import Field, Model


def insert(
    model: type[Model], names: Sequence[str], rows: Iterable[Sequence[Any]], then: str = ""
) -> list[tuple[Any, ...]]:
    """Insert rows in one statement and return what its `RETURNING` gives.

    `names` are the model's fields and `rows` their values, in the order in which the rows shall be
    written and so locked. `then` follows the values: ON CONFLICT and RETURNING, in which `{table}`
    stands for the table's name. It is for few rows at a time, such as a database takes parameters.
    """
    fields = [_field(model, name) for name in names]
    values = [
        field.get_db_prep_save(value, connection)
        for row in rows
        for field, value in zip(fields, row, strict=True)
    ]
    one = f"({', '.join(['%s'] * len(fields))})"
    every = ", ".join([one] * (len(values) // len(fields)))
    columns = ", ".join(str(field.column) for field in fields)
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) VALUES {every} {then.format(table=table)}",  # noqa: S608
            values,
        )
        return list(cursor.fetchall()) if "RETURNING" in then else []


def _field(model: type[Model], name: str) -> "Field[Any, Any]":
    field = model._meta.get_field(name)
    assert isinstance(field, Field)
    return field
