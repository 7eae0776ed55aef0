"""Lists: by page with a total, or by cursor at the same cost at any depth."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson
from django.db.models import DateTimeField, Field, Model, Q, QuerySet, UUIDField
from rest_framework import serializers

from apps.core.errors import Invalid
from apps.core.serializers import CamelSerializer

M = TypeVar("M", bound=Model)

FORWARD, BACKWARD = "n", "p"


class ListQuery(CamelSerializer):
    """The query parameters of every list."""

    page = serializers.IntegerField(min_value=1, max_value=10**9, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=100, required=False)
    cursor = serializers.CharField(max_length=500, required=False, allow_blank=True)


@dataclass(frozen=True)
class Listing(Generic[M]):
    """A whole list, and a function that turns the rows of a page into what is shown. It gets all
    rows of the page at once, so that related data takes one query."""

    rows: QuerySet[M]
    shown: Callable[[list[M]], Sequence[Any]] = list


@dataclass(frozen=True)
class Page(Generic[M]):
    """Some rows of a list, and the `pagination` of their answer."""

    rows: list[M]
    pagination: dict[str, Any]


def paginate(queryset: QuerySet[M], query: Mapping[str, Any], per_page: int = 10) -> Page[M]:
    """Return the rows that a validated ListQuery selects; `per_page` is its default limit.

    With a `cursor`, even an empty one, the list is paged by keyset. Otherwise a page with the total
    is returned, and a cursor that continues from its end. The queryset must be ordered by columns
    that are unique together and all have the same direction, or pages would skip and repeat rows.
    """
    _keys(queryset)
    limit = query.get("limit") or per_page
    if "cursor" in query:
        return _by_cursor(queryset, query["cursor"], limit)
    page = query.get("page") or 1
    total = queryset.count()
    start = (page - 1) * limit
    rows = list(queryset[start : start + limit]) if start < total else []
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
    return Page(rows, pagination)


def _by_cursor(queryset: QuerySet[M], cursor: str, limit: int) -> Page[M]:
    direction, position = _decode(cursor, queryset) if cursor else (FORWARD, None)
    if direction == BACKWARD:
        queryset = queryset.reverse()
    if position is not None:
        queryset = queryset.filter(_beyond(queryset, position))
    rows = list(queryset[: limit + 1])
    more, rows = len(rows) > limit, rows[:limit]
    if direction == BACKWARD:
        rows.reverse()
        queryset = queryset.reverse()
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
    )


def _keys(queryset: QuerySet[M]) -> tuple[list[str], bool]:
    order = [str(name) for name in queryset.query.order_by or queryset.model._meta.ordering or ()]
    descending = [name.startswith("-") for name in order]
    if not order or len(set(descending)) > 1:
        raise ValueError("A paginated queryset needs an ordering in one direction.")
    # reverse() does not change the names; it sets this flag of the query.
    return [name.lstrip("-") for name in order], descending[0] == queryset.query.standard_ordering


def _beyond(queryset: QuerySet[M], position: Sequence[Any]) -> Q:
    """Return the condition (a, b) > position in a form for which both databases use the index."""
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


def _field(queryset: QuerySet[M], name: str) -> "Field[Any, Any]":
    field = queryset.model._meta.get_field(name.removesuffix("_id"))
    assert isinstance(field, Field)
    return field


def _encode(direction: str, queryset: QuerySet[M], row: M) -> str:
    values = [getattr(row, name) for name in _keys(queryset)[0]]
    return base64.urlsafe_b64encode(orjson.dumps([direction, *values])).decode().rstrip("=")


def _decode(cursor: str, queryset: QuerySet[M]) -> tuple[str, list[Any]]:
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
