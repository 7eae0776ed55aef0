"""Lists whose pages are read by statements that are compiled once (core.db.prepared)."""

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from django.db.models import Field, QuerySet

from apps.core.db.prepared import Hole, Prepared
from apps.core.http import pagination
from apps.core.http.pagination import BACKWARD, FORWARD, Columns, Page, Paging

R = TypeVar("R")

# Of how many combinations of direction, limit and values a list remembers the statement.
STATEMENTS = 256


class PreparedList(Generic[R]):
    """A list that is paged as paginate() does it, at a fraction of its cost.

    `rows` returns the list, given values by name, all of which have their field in `fields`. It is
    called with holes for them too, so it may pass them to a queryset but not look at them.
    `columns` adds what is read of the rows of a page.
    """

    def __init__(
        self,
        rows: Callable[..., QuerySet[Any, Any]],
        columns: Columns,
        fields: Mapping[str, "Field[Any, Any]"],
    ) -> None:
        self._rows = rows
        self._columns = columns
        self._fields = fields
        self._statement = lru_cache(STATEMENTS)(self._statement_uncached)

    def page(self, paging: Paging, values: Mapping[str, Any]) -> Page[R]:
        """Return a page of the list for these values; raise Invalid for a wrong cursor."""
        names = tuple(values)
        if paging.cursor is not None:

            def read(direction: str, position: pagination.Position | None) -> list[Any]:
                statement = self._statement(names, direction, position is not None, paging.limit)
                places = {_place(n): value for n, value in enumerate(position or ())}
                return statement.all(**values, **places)

            return pagination.page_by_cursor(self._order, paging.cursor, paging.limit, read)
        if paging.page == 1:
            first = self._statement(names, FORWARD, False, paging.limit)
            key = (self, *values.items())
            total, as_of = pagination.total_of(key, lambda: self._rows(**values).count())
            rows = first.all(**values)[: paging.limit] if total else []
            return pagination.page_by_number(self._order, paging, rows, total, as_of)
        return pagination.paginate(self._rows(**values), paging.as_query(), columns=self._columns)

    @cached_property
    def _order(self) -> QuerySet[Any, Any]:
        """A queryset that has the order of the list, whatever its values."""
        return self._rows()

    def _statement_uncached(
        self, names: tuple[str, ...], direction: str, placed: bool, limit: int
    ) -> Prepared[Any]:
        """Return what reads one row more than a page has, from a position on if there is one."""

        def queryset() -> QuerySet[Any, Any]:
            rows = self._rows(**{name: Hole(name, self._fields[name]) for name in names})
            if direction == BACKWARD:
                rows = rows.reverse()
            if placed:
                rows = rows.filter(pagination.beyond(rows, _holes(rows)))
            return self._columns(rows)[: limit + 1]

        return Prepared(queryset)


def _holes(rows: QuerySet[Any, Any]) -> list[Hole]:
    fields = pagination.key_fields(rows)
    return [Hole(_place(number), field) for number, field in enumerate(fields)]


def _place(number: int) -> str:
    return f"place_{number}"
