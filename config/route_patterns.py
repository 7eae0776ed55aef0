"""What the front needs of a route, so that it finds the route as Django's resolver does."""

import re
from collections.abc import Callable
from typing import Any

from apps.core.http.routes import route_template

PREFIX = "/api/v1/"


def finder(pattern: Any) -> "Callable[[str], re.Match[str] | None]":
    """Return the function that matches a whole path with the router's pattern."""
    regex = pattern.pattern.regex.pattern.removeprefix("^")
    # Not match(): for it the pattern may end before a newline at the end.
    return re.compile(f"{re.escape(PREFIX)}{regex}").fullmatch


def template(pattern: Any) -> str:
    """Return the path with names in place of its variables, as lines of the log have it."""
    found = route_template(f"{PREFIX}{pattern.pattern}".removeprefix("/"))
    assert found is not None, f"{pattern.pattern} takes every path"
    return found


def allow(pattern: Any) -> str:
    """Return the header Allow of every answer of the route."""
    view: Any = pattern.callback
    methods = {*view.actions, "options"} | ({"head"} if "get" in view.actions else set())
    return ", ".join(name.upper() for name in view.cls.http_method_names if name in methods)
