"""Lists that are answered from kept bytes (hot_reads.py)."""

import re
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from functools import lru_cache
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


# Of how many queries, without the place in the list, the validated form is remembered.
REMEMBERED = 256
# The usual form of a place in a list. The validation of a ListQuery has nothing to say about it.
_PLACE = re.compile(r"cursor=(?P<cursor>[A-Za-z0-9_-]{0,500})|page=(?P<page>[1-9][0-9]{0,8})")


def read_query(expected: type[ListQuery], query: str) -> dict[str, Any] | None:
    """Return the validated query of a list, as its view gets it; None if the view refuses it.

    The place differs with nearly each request, and the rest hardly ever: so the rest is validated
    once, which takes far longer than to read the place.
    """
    place: dict[str, Any] = {}
    rest = []
    for part in query.split("&"):
        found = _PLACE.fullmatch(part)
        if found is None:
            rest.append(part)
        elif found["page"]:
            place["page"] = int(found["page"])
        else:
            place["cursor"] = found["cursor"]
    given = _validated_once(expected, "&".join(rest))
    if given is None or not place.keys().isdisjoint(given):
        # The last of two values counts, and only the whole query tells which one that is.
        return _validated(expected, query)
    return {**given, **place}


def _validated(expected: type[ListQuery], query: str) -> dict[str, Any] | None:
    try:
        return expected.load(QueryDict(query).dict())
    except (ValidationError, SuspiciousOperation):
        return None


_validated_once = lru_cache(REMEMBERED)(_validated)


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
