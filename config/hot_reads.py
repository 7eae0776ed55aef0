"""The hot reads of all features, and the threads in which they are loaded."""

from collections.abc import Iterator
from typing import Any

from apps.core.features import token_users
from apps.core.http.hot_reads import HotReads, HotRoute
from apps.core.http.protocol import answer_hot_reads
from config.api import router
from config.route_patterns import allow, finder, template
from config.thread_pools import in_reading_thread


async def start_hot_reads() -> None:
    """Answer the hot reads of all features, before the server's first request."""
    answer_hot_reads(
        HotReads(hot_routes(), in_reading_thread, token_users(in_reading_thread).known)
    )


def hot_routes() -> Iterator[HotRoute]:
    """Yield the routes that declare a hot read."""
    for pattern in router.urls:
        view: Any = pattern.callback
        endpoint = getattr(getattr(view.cls, view.actions.get("get", ""), None), "endpoint", None)
        if endpoint is None or endpoint.hot is None:
            continue
        yield HotRoute(
            name=getattr(pattern, "name", ""),
            template=template(pattern),
            find=finder(pattern),
            message=endpoint.message,
            allow=allow(pattern),
            read=endpoint.hot,
        )
