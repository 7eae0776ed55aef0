"""Lists: by page with a total, or by cursor, at the same cost at any depth.

docs/decisions/0030-lists.md says how old a total may be, and what a page shows meanwhile.
"""

import base64
import binascii
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

import orjson
from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db.models import DateTimeField, Field, Q, QuerySet, UUIDField
from rest_framework import serializers

from apps.core.errors import Invalid
from apps.core.refreshed import Refreshed
from apps.core.serializers import CamelSerializer

# A row: an instance of the model, or a named tuple with the columns that are shown.
R = TypeVar("R")

FORWARD, BACKWARD = "n", "p"
# Up to so many rows a list is counted for each page and skipped through: that takes the database
# less than the page itself.
FEW = 1_000
# Of how many lists the totals and the positions are remembered, and how many positions of each:
# some 15 MB at most.
LISTS = 100
POSITIONS = 1_024

# The key values of a row, in the order of the list.
Position = Sequence[Any]


class ListQuery(CamelSerializer):
    """The query parameters of every list."""

    page = serializers.IntegerField(
        min_value=1, max_value=10**9, required=False, help_text="The number of the page, from 1."
    )
    limit = serializers.IntegerField(
        min_value=1, max_value=100, required=False, help_text="How many rows a page has."
    )
    cursor = serializers.CharField(
        max_length=500,
        required=False,
        allow_blank=True,
        help_text="In place of page: empty for the first page, then nextCursor or prevCursor.",
    )


Columns = Callable[[QuerySet[Any, Any]], QuerySet[Any, Any]]


def _as_they_are(rows: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
    return rows


@dataclass(frozen=True)
class Listing(Generic[R]):
    """A whole list, and two functions for the rows of a page.

    `columns` adds what is read of them, above all what takes a join: the list is counted without
    it. `shown` turns them into what is shown. It gets all rows of the page at once, so that related
    data takes one query.
    """

    rows: QuerySet[Any, Any]
    shown: Callable[[list[R]], Sequence[Any]] = list
    columns: Columns = _as_they_are


@dataclass(frozen=True)
class Page(Generic[R]):
    """Some rows of a list, and the `pagination` of their answer. `as_of` is since when changes may
    be missing, by time.monotonic()."""

    rows: list[R]
    pagination: dict[str, Any]
    as_of: float


class Paging(NamedTuple):
    """Which page of a list is asked for: by the cursor, unless that is None."""

    page: int
    limit: int
    cursor: str | None

    def as_query(self) -> dict[str, Any]:
        """Return it as a validated ListQuery."""
        if self.cursor is not None:
            return {"cursor": self.cursor, "limit": self.limit}
        return {"page": self.page, "limit": self.limit}


def paging_of(query: Mapping[str, Any], per_page: int) -> Paging:
    """Return the page that a validated ListQuery asks for, in the same form however it says so."""
    limit = query.get("limit") or per_page
    if "cursor" in query:
        return Paging(1, limit, query["cursor"])
    return Paging(query.get("page") or 1, limit, None)


def paginate(
    queryset: QuerySet[Any, Any],
    query: Mapping[str, Any],
    per_page: int = 10,
    columns: Columns = _as_they_are,
) -> Page[Any]:
    """Return the rows that a validated ListQuery selects, with their `columns`; `per_page` is its
    default limit.

    With a `cursor`, even an empty one, the list is paged by keyset. Otherwise a page with the total
    is returned, and a cursor that continues from its end. The queryset must be ordered by columns
    that are unique together and all have the same direction, or pages would skip and repeat rows.
    Beyond FEW rows the total, and what lies before a page, may be CACHE_SECONDS old.
    """
    _keys(queryset)
    paging = paging_of(query, per_page)
    if paging.cursor is not None:
        return _by_cursor(queryset, paging.cursor, paging.limit, columns)

    def read(position: Position | None, skipped: int) -> list[Any]:
        rows = queryset if position is None else queryset.filter(beyond(queryset, position))
        return list(columns(rows)[skipped : skipped + paging.limit])

    return page_by_number(queryset, paging, _key(queryset), lambda: queryset, read)


def page_by_number(
    queryset: QuerySet[Any, Any],
    paging: Paging,
    key: Hashable,
    whole: Callable[[], QuerySet[Any, Any]],
    read: Callable[[Position | None, int], list[Any]],
) -> Page[Any]:
    """Return a page by its number. `read` returns the rows of the page, which begins so many rows
    after a position. `key` tells the list from all others, and `whole` returns it if it must be
    counted or walked. The queryset tells the order."""
    page, limit = paging.page, paging.limit
    total, as_of = _totals.get(key, lambda: whole().count())
    start = (page - 1) * limit
    rows: list[Any] = []
    if start < total:
        position, skipped, found_at = _position_before(start, key, whole)
        rows = read(position, skipped)
        as_of = min(as_of, found_at)
    pages = -(-total // limit)
    pagination = {
        "total": total,
        "page": page,
        "limit": limit,
        "totalPages": pages,
        "hasNext": page < pages,
        "hasPrev": page > 1,
        "nextCursor": _encode(FORWARD, queryset, rows[-1]) if rows and page < pages else None,
    }
    return Page(rows, pagination, as_of)


_totals = Refreshed[int](LISTS, worth_keeping=lambda total: total > FEW)
_positions = Refreshed[Sequence[Position]](LISTS)


def forget_lists() -> None:
    """Forget the totals and positions of all lists."""
    _totals.clear()
    _positions.clear()


def _key(queryset: QuerySet[Any, Any]) -> Hashable:
    """Return what tells a list from all others: its statement."""
    names, _ = _keys(queryset)
    with suppress(EmptyResultSet):
        return queryset.values_list(*names).query.sql_with_params()
    return None


def _position_before(
    start: int, key: Hashable, whole: Callable[[], QuerySet[Any, Any]]
) -> tuple[Position | None, int, float]:
    """Return a remembered position of a list, how many rows are still to be skipped from it up to
    `start`, and when it was found. The database would read all rows that an offset skips."""
    now = time.monotonic()
    if start <= FEW or not settings.CACHE_SECONDS:
        return None, start, now
    # A power of two, so that the pages of a list share a few rows of positions.
    depth = 1 << start.bit_length()
    stride = max(depth // POSITIONS, 1)
    positions, found_at = _positions.get((key, depth), lambda: _walk(whole(), stride))
    # There are fewer if rows were added since.
    number = min(start // stride, len(positions))
    if not number:
        return None, start, now
    return positions[number - 1], start - number * stride, found_at


def _walk(queryset: QuerySet[Any, Any], stride: int) -> Sequence[Position]:
    """Return the position of every stride-th row, at most POSITIONS of them. The database reads the
    rows before the last one, but only in the index."""
    names, descending = _keys(queryset)
    # The inner limit has the database read no more: a list that joins others would be sorted whole.
    shown = dict.fromkeys([queryset.model._meta.pk.attname, *names])
    read = queryset.values_list(*shown)[: stride * POSITIONS]
    listed, values = read.query.sql_with_params()
    order = ", ".join(
        f"{_field(queryset, name).column} {'DESC' if descending else 'ASC'}" for name in names
    )
    # The key is what a raw query makes objects of.
    found = queryset.model._default_manager.raw(
        f"SELECT * FROM (SELECT *, row_number() OVER (ORDER BY {order}) AS number"  # noqa: S608
        f" FROM ({listed}) AS listed) AS numbered WHERE number %% {stride} = 0",
        values,
    )
    in_order = sorted(found, key=attrgetter("number"))
    return [tuple(getattr(row, name) for name in names) for row in in_order]


def _by_cursor(
    queryset: QuerySet[Any, Any], cursor: str, limit: int, columns: Columns
) -> Page[Any]:
    def read(direction: str, position: Position | None) -> list[Any]:
        rows = queryset.reverse() if direction == BACKWARD else queryset
        if position is not None:
            rows = rows.filter(beyond(rows, position))
        return list(columns(rows)[: limit + 1])

    return page_by_cursor(queryset, cursor, limit, read)


def page_by_cursor(
    queryset: QuerySet[Any, Any],
    cursor: str,
    limit: int,
    read: Callable[[str, Position | None], list[Any]],
) -> Page[Any]:
    """Return a page by its cursor. `read` returns one row more than the page has, in a direction
    and from a position on. The queryset tells the order. Raises Invalid for a wrong cursor."""
    direction, position = _decode(cursor, queryset) if cursor else (FORWARD, None)
    as_of = time.monotonic()
    rows = read(direction, position)
    more, rows = len(rows) > limit, rows[:limit]
    if direction == BACKWARD:
        rows.reverse()
        has_next, has_previous = bool(rows), more
    else:
        has_next, has_previous = more, position is not None
    return Page(
        rows,
        {
            "limit": limit,
            "nextCursor": _encode(FORWARD, queryset, rows[-1]) if rows and has_next else None,
            "prevCursor": _encode(BACKWARD, queryset, rows[0]) if rows and has_previous else None,
            "hasNext": has_next,
            "hasPrev": has_previous,
        },
        as_of,
    )


def key_fields(queryset: QuerySet[Any, Any]) -> "list[Field[Any, Any]]":
    """Return the fields that order a list."""
    return [_field(queryset, name) for name in _keys(queryset)[0]]


def _keys(queryset: QuerySet[Any, Any]) -> tuple[list[str], bool]:
    order = [str(name) for name in queryset.query.order_by or queryset.model._meta.ordering or ()]
    descending = [name.startswith("-") for name in order]
    if not order or len(set(descending)) > 1:
        raise ValueError("A paginated queryset needs an ordering in one direction.")
    # reverse() does not change the names; it sets this flag of the query.
    return [name.lstrip("-") for name in order], descending[0] == queryset.query.standard_ordering


def beyond(queryset: QuerySet[Any, Any], position: Sequence[Any]) -> Q:
    """Return the condition (a, b) > position in a form for which both databases use the index. The
    position is of values, or of expressions."""
    names, descending = _keys(queryset)
    operator = "lt" if descending else "gt"
    alternatives = [
        Q(
            **dict(zip(names[:depth], position, strict=False)),
            **{f"{name}__{operator}": position[depth]},
        )
        for depth, name in enumerate(names)
    ]
    bound = Q(**{f"{names[0]}__{operator}e": position[0]})
    return bound & reduce(Q.__or__, alternatives)


def _field(queryset: QuerySet[Any, Any], name: str) -> "Field[Any, Any]":
    field = queryset.model._meta.get_field(name.removesuffix("_id"))
    assert isinstance(field, Field)
    return field


def _encode(direction: str, queryset: QuerySet[Any, Any], row: Any) -> str:
    values = [getattr(row, name) for name in _keys(queryset)[0]]
    return base64.urlsafe_b64encode(orjson.dumps([direction, *values])).decode().rstrip("=")


def _decode(cursor: str, queryset: QuerySet[Any, Any]) -> tuple[str, list[Any]]:
    names = _keys(queryset)[0]
    try:
        direction, *values = orjson.loads(
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        )
        if direction not in {FORWARD, BACKWARD} or len(values) != len(names):
            raise ValueError
        return direction, [
            _read(_field(queryset, name), value) for name, value in zip(names, values, strict=True)
        ]
    except (ValueError, TypeError, binascii.Error) as error:
        raise Invalid.field("cursor", "Use a cursor from an earlier answer.") from error


def _read(field: "Field[Any, Any]", value: Any) -> Any:
    if isinstance(field, DateTimeField):
        moment = datetime.fromisoformat(value)
        if moment.utcoffset() != timedelta(0):
            raise ValueError
        return moment
    if isinstance(field, UUIDField):
        return UUID(str(value))
    if not isinstance(value, int) or abs(value) >= 2**63:
        raise ValueError
    return value
