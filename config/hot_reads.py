"""The hot reads of all features, and the threads in which they are loaded."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.db import close_old_connections

from apps.accounts.known_sessions import known_user
from apps.core.http.hot_reads import HotReads, HotRoute
from apps.core.http.protocol import answer_hot_reads
from config.api import router
from config.thread_pools import pool_of

PREFIX = "/api/v1/"


async def start_hot_reads() -> None:
    """Answer the hot reads of all features, before the server's first request."""
    answer_hot_reads(HotReads(hot_routes(), _in_reading_thread, known_user))


def hot_routes() -> Iterator[HotRoute]:
    """Yield the routes that declare a hot read."""
    for pattern in router.urls:
        view: Any = pattern.callback
        endpoint = getattr(getattr(view.cls, view.actions.get("get", ""), None), "endpoint", None)
        if endpoint is None or endpoint.hot is None:
            continue
        found = re.compile(f"{re.escape(PREFIX)}{pattern.pattern.regex.pattern.removeprefix('^')}")
        methods = {*view.actions, "head", "options"}
        allowed = [name.upper() for name in view.cls.http_method_names if name in methods]
        yield HotRoute(
            name=getattr(pattern, "name", ""),
            template=f"{PREFIX}{str(pattern.pattern).removeprefix('^').rstrip('$')}",
            find=found.search,
            message=endpoint.message,
            allow=", ".join(allowed),
            read=endpoint.hot,
        )


async def _in_reading_thread(
    load: Callable[[Sequence[Any]], Mapping[Any, Any]], keys: Sequence[Any]
) -> Mapping[Any, Any]:
    def run() -> Mapping[Any, Any]:
        # Replaces a connection that failed, as Django does before each request.
        close_old_connections()
        return load(keys)

    return await pool_of("GET", PREFIX).run(run)
