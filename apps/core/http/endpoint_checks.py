"""What is wrong with endpoints where they are routed: `manage.py check` says it."""

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.core.http.endpoints import CHANGES, PAGING, Endpoint


@dataclass(frozen=True)
class Route:
    """A method of a route, the method of a viewset that serves it, and its declaration if any."""

    method: str
    # The route's name, and those of the variables in its path.
    name: str
    variables: Mapping[str, Any]
    handler: Any
    endpoint: Endpoint | None


def routes(patterns: Iterable[Any]) -> Iterator[Route]:
    """Yield what a router's url patterns lead to."""
    for pattern in patterns:
        view = pattern.callback
        for method, action in view.actions.items():
            # HEAD is added at the first request; it is what GET is.
            if method != "head":
                handler = getattr(view.cls, action)
                variables = pattern.pattern.regex.groupindex
                endpoint = getattr(handler, "endpoint", None)
                yield Route(method.upper(), pattern.name, variables, handler, endpoint)


def problems(patterns: Iterable[Any], actions: Collection[str]) -> Iterator[str]:
    """Yield a sentence for everything that is wrong; `actions` are those that have a limit."""
    for route in routes(patterns):
        who = f"{route.method} {route.name} ({route.handler.__qualname__})"
        if route.endpoint is None:
            yield f"{who} has no @Endpoint."
            continue
        for wrong in [*_misplaced(route, route.endpoint, actions), *_unfit(route, route.endpoint)]:
            yield f"{who} {wrong}."


def _misplaced(route: Route, endpoint: Endpoint, actions: Collection[str]) -> list[str]:
    """Return what cannot be so at this route."""
    shows_one = route.method == "GET" and endpoint.output and route.variables
    wrong = {
        "reads a body, which its method has not": endpoint.input and route.method == "GET",
        "has a body and no input for it": not endpoint.input and route.method in {"PUT", "PATCH"},
        "shows pages and is no GET": endpoint.per_page and route.method != "GET",
        "shows one thing without its revision": shows_one and not endpoint.revision,
        "changes one thing without its revision": (
            route.method in {"PUT", "PATCH"} and not endpoint.revision
        ),
        "has a revision, of which a POST asks nothing": endpoint.revision
        and route.method == "POST",
        "has a revision and shows nothing": (
            endpoint.revision and not endpoint.output and route.method != "DELETE"
        ),
        "hashes and is no POST of one path, so that nobody knows it by its path": (
            endpoint.hashes and (route.method != "POST" or route.variables)
        ),
        f"has the limit {endpoint.limit}, which is no known action": (
            endpoint.limit and endpoint.limit not in actions
        ),
    }
    return [sentence for sentence, is_so in wrong.items() if is_so]


def _unfit(route: Route, endpoint: Endpoint) -> Iterator[str]:
    """Yield what does not fit the parameters of the method."""
    fields = {
        **(endpoint.input._declared_fields if endpoint.input else {}),
        **(endpoint.query._declared_fields if endpoint.query else {}),
    }
    always = {name for name, field in fields.items() if field.required} | set(route.variables)
    given = always | {name for name in fields if name not in PAGING}
    if endpoint.revision and route.method in CHANGES:
        always, given = always | {"if_match"}, given | {"if_match"}
    for name in route.variables.keys() & fields.keys():
        yield f"is given {name} twice, by the path and by a field"

    # The first two are the view and the request.
    taken = list(inspect.signature(route.handler).parameters.values())[2:]
    named = {one.name for one in taken if one.kind is not one.VAR_KEYWORD}
    needed = {one.name for one in taken if one.name in named and one.default is one.empty}
    if len(named) == len(taken):
        for name in sorted(given - named):
            yield f"is given {name} and does not take it"
    elif not given - named:
        yield "takes more by name than it is given"
    for name in sorted(needed - always):
        yield f"takes {name}, which it is not always given"
