"""The grouped writes of all features."""

from collections.abc import Iterator

from apps.core.features import token_users
from apps.core.http.answering_protocol import answer_grouped_writes
from apps.core.http.endpoint_checks import routes_of
from apps.core.http.grouped_writes import GroupedRoute, GroupedWrites
from config.api import router
from config.route_patterns import allow, finder, template
from config.thread_pools import in_reading_thread


async def start_grouped_writes() -> None:
    """Answer the grouped writes of all features, before the server's first request."""
    answer_grouped_writes(grouped_writes())


def grouped_writes() -> GroupedWrites:
    """Return what answers the grouped writes of a process."""
    return GroupedWrites(grouped_routes(), token_users(in_reading_thread).find)


def grouped_routes() -> Iterator[GroupedRoute]:
    """Yield the methods of routes that declare a grouped write."""
    for route in routes_of(router.urls):
        endpoint = route.endpoint
        if endpoint is not None and endpoint.grouped and endpoint.input:
            yield GroupedRoute(
                method=route.method,
                template=template(route.pattern),
                find=finder(route.pattern),
                allow=allow(route.pattern),
                endpoint=endpoint,
                write=endpoint.grouped,
                input=endpoint.input,
            )
