"""The hot reads of all features."""

from collections.abc import Iterator

from apps.core.features import token_users
from apps.core.http.answering_protocol import answer_hot_reads
from apps.core.http.endpoint_checks import routes_of
from apps.core.http.hot_reads import HotReads, HotRoute
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
    for route in routes_of(router.urls):
        if route.method == "GET" and route.endpoint is not None and route.endpoint.hot is not None:
            yield HotRoute(
                name=route.name,
                template=template(route.pattern),
                find=finder(route.pattern),
                message=route.endpoint.message,
                allow=allow(route.pattern),
                read=route.endpoint.hot,
            )
