"""Every route of the API, from the router."""

import re
from collections.abc import Iterator
from typing import Any

from apps.core.http.endpoints import Endpoint
from config.api import router

# A group of a route, with at most one group inside of it.
_GROUP = re.compile(r"\(\?P<\w+>(?:[^()]|\([^()]*\))*\)")
# The name of a room.
_ROOM = r"(?P<room>[a-z]+\.[a-z0-9-]{1,64})"
SOME_ID = "0192f0c0-0000-7000-8000-000000000000"


def routes(*methods: str) -> list[tuple[str, str]]:
    """Return method and path of each route that has one of the methods, with ids filled in."""
    return sorted({(method, path) for method, path, _ in _routes() if method in methods})


def _routes() -> Iterator[tuple[str, str, Endpoint]]:
    for pattern in router.urls:
        route = str(pattern.pattern).replace(_ROOM, "room.crew")
        path = _GROUP.sub(SOME_ID, route).strip("^$")
        view: Any = pattern.callback
        for method, action in view.actions.items():
            yield method, f"/api/v1/{path}", getattr(view.cls, action).endpoint


WITH_A_BODY = sorted({(method, path) for method, path, endpoint in _routes() if endpoint.input})
