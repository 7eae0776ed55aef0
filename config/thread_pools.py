"""The thread pool that each request runs in, so that requests that wait for locks, or hash
passwords, do not delay the others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.urls import reverse

from apps.core.features import pages
from apps.core.http.endpoint_checks import routes_of
from apps.core.threads import BoundedPool
from config.api import router

# How many requests may wait for a thread: more than the connections that one network may hold, so
# that one network cannot fill the queue. It bounds the memory of waiting requests, as THREAD_WAIT
# bounds their time.
QUEUE = 512

_POOLS = {
    name: BoundedPool(name, threads, wait=settings.THREAD_WAIT, queue=QUEUE)
    for name, threads in (
        ("reading", settings.READING_THREADS),
        ("writing", settings.WRITING_THREADS),
        ("hashing", settings.HASHING_THREADS),
    )
}
SAFE = {"GET", "HEAD", "OPTIONS"}

# The requests that hash a password, by method and path: the bridge must know them before the view
# runs. Two of them are pages of Django's admin, and pages of apps say it of themselves.
HASHING = {
    (route.method, reverse(route.name))
    for route in routes_of(router.urls)
    if route.endpoint is not None and route.endpoint.hashes
}
HASHING |= {("POST", reverse(f"admin:{page}")) for page in ("login", "password_change")}
HASHING |= {("POST", reverse(page)) for page, view in pages().items() if view.hashes}

# A login begins with this page, which takes long to make. It waits with the logins: a flood of them
# would have several pages made at once, in the threads of reads.
LOGIN_PAGE = reverse("admin:login")


def pool_of(method: str, path: str) -> BoundedPool:
    """Return the pool that a request with this method and path runs in."""
    if (method, path) in HASHING or path == LOGIN_PAGE:
        return _POOLS["hashing"]
    return _POOLS["reading" if method in SAFE else "writing"]


async def in_reading_thread(
    load: Callable[[Sequence[Any]], Mapping[Any, Any]], keys: Sequence[Any]
) -> Mapping[Any, Any]:
    """Return what a load of the event loop reads, in a thread for reads; raise Busy. Such loads
    never hold all threads, so that views are served while they wait for the database."""

    def run() -> Mapping[Any, Any]:
        # Replaces a connection that failed, as Django does before each request.
        close_old_connections()
        return load(keys)

    return await _POOLS["reading"].run_for("loads", run)
