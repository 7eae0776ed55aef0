"""Every route of the API, from the router."""

import re
from collections.abc import Iterator

from config.api import router

# A group of a route, with at most one group inside of it.
_GROUP = re.compile(r"\(\?P<\w+>(?:[^()]|\([^()]*\))*\)")
SOME_ID = "0192f0c0-0000-7000-8000-000000000000"


def routes(*methods: str) -> list[tuple[str, str]]:
    """Return method and path of each route that has one of the methods, with ids filled in."""
    return sorted(set(_routes(methods)))


def _routes(methods: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for pattern in router.urls:
        path = _GROUP.sub(SOME_ID, str(pattern.pattern)).strip("^$")
        for method in getattr(pattern.callback, "actions", ()):
            if method in methods:
                yield method, f"/api/v1/{path}"


_TAKE_NO_BODY = ("/logout", "/ws-ticket", "/publish")
WITH_A_BODY = [r for r in routes("post", "put", "patch") if not r[1].endswith(_TAKE_NO_BODY)]
