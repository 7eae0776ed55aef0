"""Lists whose pages are read by statements that are compiled once (core.db.prepared)."""

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

from django.db.models import Field, QuerySet

from apps.core.db.prepared import Hole, Prepared
from apps.core.http import pagination
from apps.core.http.pagination import BACKWARD, FORWARD, Listing, Page, Paging, Position

# Of how many combinations of values, direction and limit a list remembers the statement.
STATEMENTS = 256


class PreparedList:
    """A list that is paged as paginate() does it, at a fraction of its cost.

    `listing` returns the list, given values by name, all of which have their field in `fields`. It
    is called with holes for them too, so it may filter by them but not look at them.
    """

    def __init__(self, listing: Callable[..., Listing[Any]], **fields: "Field[Any, Any]") -> None:
        self._listing = listing
        self._fields = fields
        self._statement = lru_cache(STATEMENTS)(self._compiled_once)

    def page(self, paging: Paging, **values: Any) -> Page[Any]:
        """Return a page of the list for these values; raise Invalid for a wrong cursor."""
        names = tuple(values)

        def read(direction: str, position: Position | None) -> list[Any]:
            statement = self._statement(names, direction, position is not None, paging.limit)
            places = {_place(number): value for number, value in enumerate(position or ())}
            return statement.all(**values, **places)

        if paging.cursor is not None:
            return pagination.page_by_cursor(self._order, paging.cursor, paging.limit, read)
        if paging.page > 1:
            listing = self._listing(**values)
            return pagination.paginate(listing.rows, paging.as_query(), columns=listing.columns)
        total, as_of = pagination.total_of(
            (self, *values.items()), lambda: self._listing(**values).rows.count()
        )
        rows = read(FORWARD, None)[: paging.limit] if total else []
        return pagination.page_by_number(self._order, paging, rows, total, as_of)

    @cached_property
    def _order(self) -> QuerySet[Any, Any]:
        """A queryset that has the order of the list, whatever its values."""
        return self._listing().rows

    def _compiled_once(
        self, names: tuple[str, ...], direction: str, placed: bool, limit: int
    ) -> Prepared[Any]:
        """Return what reads one row more than a page has, from a position on if there is one."""

        def queryset() -> QuerySet[Any, Any]:
            listing = self._listing(**{name: Hole(name, self._fields[name]) for name in names})
            rows = listing.rows.reverse() if direction == BACKWARD else listing.rows
            if placed:
                rows = rows.filter(pagination.beyond(rows, _holes(rows)))
            return listing.columns(rows)[: limit + 1]

        return Prepared(queryset)


def _holes(rows: QuerySet[Any, Any]) -> list[Hole]:
    fields = pagination.key_fields(rows)
    return [Hole(_place(number), field) for number, field in enumerate(fields)]


def _place(number: int) -> str:
    return f"place_{number}"
