"""Lists that are answered from kept bytes (hot_reads.py)."""

from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from django.core.exceptions import SuspiciousOperation
from django.http import QueryDict
from rest_framework.exceptions import ValidationError

from apps.core.errors import Invalid
from apps.core.http.envelope import dumps
from apps.core.http.hot_reads import Shown
from apps.core.http.pagination import ListQuery, Page

K = TypeVar("K", bound=Hashable)

# How many pages one call loads. Each takes as long as some dozen rows, and all who wait for it wait
# for all of them.
PAGES_AT_ONCE = 5


def read_query(expected: type[ListQuery], query: str) -> dict[str, Any] | None:
    """Return the validated query of a list, as its view gets it; None if the view refuses it."""
    try:
        return expected.load(QueryDict(query).dict())
    except (ValidationError, SuspiciousOperation):
        return None


def page_shown(
    page: Page[Any],
    shape: Callable[[Any], dict[str, Any]],
    tags: Callable[[list[Any]], Iterable[str]],
) -> Shown:
    """Return a page of a list, each of its things in this shape. `tags` are those of the things."""
    return Shown(
        data=dumps([shape(thing) for thing in page.rows]),
        tags=tuple(dict.fromkeys(tags(page.rows))),
        pagination=dumps(page.pagination),
        as_of=page.as_of,
    )


def pages_shown(asked: Iterable[K], show: Callable[[K], Shown]) -> dict[K, Shown]:
    """Return what is shown for each page that is asked for, without those with a wrong cursor,
    which the view refuses."""
    shown = {}
    for one in asked:
        with suppress(Invalid):
            shown[one] = show(one)
    return shown
