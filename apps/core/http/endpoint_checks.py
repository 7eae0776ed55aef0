"""Checks that endpoints fit their routes; `manage.py check` reports the problems."""

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.core.http.endpoints import CHANGES, PAGING, Endpoint


@dataclass(frozen=True)
class Route:
    """An HTTP method of a route, the viewset method that serves it, and its declaration if any."""

    method: str
    # The route's name, and those of the variables in its path.
    name: str
    variables: Mapping[str, Any]
    handler: Any
    endpoint: Endpoint | None
    # The router's pattern.
    pattern: Any


def routes_of(patterns: Iterable[Any]) -> Iterator[Route]:
    """Yield a Route for each HTTP method of a router's url patterns."""
    for pattern in patterns:
        view = pattern.callback
        for method, action in view.actions.items():
            # Django REST framework adds HEAD at the first request; it is served as GET is.
            if method != "head":
                handler = getattr(view.cls, action)
                variables = pattern.pattern.regex.groupindex
                endpoint = getattr(handler, "endpoint", None)
                yield Route(method.upper(), pattern.name, variables, handler, endpoint, pattern)


def problems(patterns: Iterable[Any], actions: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each problem; `actions` are the names of the declared limits."""
    for route in routes_of(patterns):
        label = f"{route.method} {route.name} ({route.handler.__qualname__})"
        if route.endpoint is None:
            yield f"{label} has no @Endpoint."
            continue
        for wrong in [
            *_declaration_problems(route, route.endpoint, actions),
            *_parameter_problems(route, route.endpoint),
        ]:
            yield f"{label} {wrong}."


def _declaration_problems(route: Route, endpoint: Endpoint, actions: Collection[str]) -> list[str]:
    """Return how the declaration contradicts the route."""
    shows_one = (
        route.method == "GET" and endpoint.output and route.variables and not endpoint.per_page
    )
    wrong = {
        "has an input, but a GET has no body": endpoint.input and route.method == "GET",
        "has a body but no input": not endpoint.input and route.method in {"PUT", "PATCH"},
        "has per_page but is not a GET": endpoint.per_page and route.method != "GET",
        "returns one object without its revision": shows_one and not endpoint.revision,
        "changes one object without its revision": (
            route.method in {"PUT", "PATCH"} and not endpoint.revision
        ),
        "has a revision, but a POST does not use one": (
            endpoint.revision and route.method == "POST"
        ),
        "has a revision but no output": (
            endpoint.revision and not endpoint.output and route.method != "DELETE"
        ),
        "hashes but is not a POST with a fixed path, by which its threads are chosen": (
            endpoint.hashes and (route.method != "POST" or route.variables)
        ),
        f"has the limit {endpoint.limit}, which no feature declares": (
            endpoint.limit and endpoint.limit not in actions
        ),
    }
    return [sentence for sentence, is_so in wrong.items() if is_so]


def _parameter_problems(route: Route, endpoint: Endpoint) -> Iterator[str]:
    """Yield how the parameters of the method differ from what it is given."""
    fields = {
        **(endpoint.input._declared_fields if endpoint.input else {}),
        **(endpoint.query._declared_fields if endpoint.query else {}),
    }
    always = {name for name, field in fields.items() if field.required} | set(route.variables)
    given = always | {name for name in fields if name not in PAGING}
    if endpoint.revision and route.method in CHANGES:
        always, given = always | {"if_match"}, given | {"if_match"}
    for name in route.variables.keys() & fields.keys():
        yield f"is given {name} twice, from the path and from a field"

    # The first two are the view and the request.
    taken = list(inspect.signature(route.handler).parameters.values())[2:]
    named = {one.name for one in taken if one.kind is not one.VAR_KEYWORD}
    needed = {one.name for one in taken if one.name in named and one.default is one.empty}
    if len(named) == len(taken):
        for name in sorted(given - named):
            yield f"is given {name} but does not take it"
    elif not given - named:
        yield "has **keywords that are always empty"
    for name in sorted(needed - always):
        yield f"requires {name}, which it is not always given"
