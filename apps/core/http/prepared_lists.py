"""Lists whose pages are read by statements that are compiled once (core.db.prepared)."""

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from django.db.models import Field, IntegerField, QuerySet

from apps.core.db.prepared import Hole, Prepared
from apps.core.http import pagination
from apps.core.http.pagination import BACKWARD, FORWARD, Listing, Page, Paging, Position

# Of how many forms a list remembers the statement.
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

        def read(direction: str, position: Position | None, skipped: int = 0) -> list[Any]:
            form = _Form(names, direction, position is not None, skipped > 0, paging.limit)
            places = {_place(number): value for number, value in enumerate(position or ())}
            return self._statement(form).all(**values, **places, **{_SKIPPED: skipped})

        if paging.cursor is not None:
            return pagination.page_by_cursor(self._order, paging.cursor, paging.limit, read)
        return pagination.page_by_number(
            self._order,
            paging,
            (self, *values.items()),
            lambda: self._listing(**values).rows,
            lambda position, skipped: read(FORWARD, position, skipped)[: paging.limit],
        )

    @cached_property
    def _order(self) -> QuerySet[Any, Any]:
        """A queryset that has the order of the list, whatever its values."""
        return self._listing().rows

    def _compiled_once(self, form: "_Form") -> Prepared[Any]:
        """Return what reads one row more than a page has."""

        def queryset() -> QuerySet[Any, Any]:
            listing = self._listing(**{name: Hole(name, self._fields[name]) for name in form.names})
            rows = listing.rows.reverse() if form.direction == BACKWARD else listing.rows
            if form.placed:
                rows = rows.filter(pagination.beyond(rows, _holes(rows)))
            return listing.columns(rows)[: form.limit + 1]

        return Prepared(queryset, Hole(_SKIPPED, IntegerField()) if form.skips else None)


class _Form(NamedTuple):
    """What tells the statements of a list apart: the names of the values, the direction, whether it
    reads from a position on, whether it skips rows there, and how many rows a page has."""

    names: tuple[str, ...]
    direction: str
    placed: bool
    skips: bool
    limit: int


def _holes(rows: QuerySet[Any, Any]) -> list[Hole]:
    fields = pagination.key_fields(rows)
    return [Hole(_place(number), field) for number, field in enumerate(fields)]


_SKIPPED = "skipped"


def _place(number: int) -> str:
    return f"place_{number}"
