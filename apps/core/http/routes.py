"""Templates of routes: a path with names in place of its variables."""

import re
from functools import lru_cache

from django.conf import settings
from django.contrib.admindocs.views import simplify_regex
from django.http import HttpRequest
from django.urls import Resolver404, resolve

# Of how many routes the template is remembered; there are fewer.
REMEMBERED = 512
STATIC = f"{settings.STATIC_URL}{{path}}"

_VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")
# As openapi.yaml names it.
_NAMES = {"pk": "id"}


@lru_cache(REMEMBERED)
def route_template(route: str) -> str | None:
    """Return the template of a route as Django writes it, such as /api/v1/posts/{id}; None for one
    that takes each path which no other route has."""
    without_end = "^" in route and not route.endswith("$")
    if without_end or ".*" in route:
        return None
    return _VARIABLE.sub(
        lambda found: f"{{{_NAMES.get(found[1], found[1])}}}", simplify_regex(route)
    )


def template_of(request: HttpRequest, status: int) -> str | None:
    """Return the template of the route of a request that was answered with this status; None if it
    has none. The request may have been answered before Django looked for its route."""
    if request.resolver_match is not None:
        return route_template(request.resolver_match.route)
    if status == 404:
        return None
    if request.path.startswith(settings.STATIC_URL):
        return STATIC
    try:
        return route_template(resolve(request.path_info).route)
    except Resolver404:
        return None
