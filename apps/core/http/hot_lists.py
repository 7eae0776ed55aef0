"""Lists that are answered from kept bytes (hot_reads.py)."""

from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.http import QueryDict
from rest_framework.exceptions import ValidationError

from apps.core.errors import Invalid
from apps.core.http.envelope import dumps
from apps.core.http.hot_reads import Shown
from apps.core.http.pagination import Listing, ListQuery, Paging, paginate


def read_query(expected: type[ListQuery], query: str) -> dict[str, Any] | None:
    """Return the validated query of a list, as its view gets it; None if the view refuses it."""
    try:
        return expected.load(QueryDict(query).dict())
    except (ValidationError, SuspiciousOperation):
        return None


def page_shown(
    listing: Listing[Any],
    paging: Paging,
    shape: Callable[[Any], dict[str, Any]],
    tags: Callable[[list[Any]], Iterable[str]],
) -> Shown | None:
    """Return a page of a list, each of its things in this shape; None if the view refuses its
    cursor. `tags` are those of the things."""
    try:
        page = paginate(listing.rows, paging.as_query(), columns=listing.columns)
    except Invalid:
        return None
    things = list(listing.shown(page.rows))
    return Shown(
        data=dumps([shape(thing) for thing in things]),
        tags=tuple(dict.fromkeys(tags(things))),
        pagination=dumps(page.pagination),
        as_of=page.as_of,
    )
