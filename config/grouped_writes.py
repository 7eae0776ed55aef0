"""The grouped writes of all features."""

from collections.abc import Iterator
from typing import Any

from apps.core.features import token_users
from apps.core.http.grouped_writes import GroupedRoute, GroupedWrites
from config.api import router
from config.route_patterns import allow, finder, template
from config.thread_pools import in_reading_thread


def grouped_writes() -> GroupedWrites:
    """Return what answers the grouped writes of a process."""
    return GroupedWrites(grouped_routes(), token_users(in_reading_thread).find)


def grouped_routes() -> Iterator[GroupedRoute]:
    """Yield the methods of routes that declare a grouped write."""
    for pattern in router.urls:
        view: Any = pattern.callback
        for method, action in view.actions.items():
            endpoint = getattr(getattr(view.cls, action), "endpoint", None)
            if endpoint is not None and endpoint.grouped and endpoint.input:
                yield GroupedRoute(
                    method=method.upper(),
                    template=template(pattern),
                    find=finder(pattern),
                    allow=allow(pattern),
                    endpoint=endpoint,
                    write=endpoint.grouped,
                    input=endpoint.input,
                )
