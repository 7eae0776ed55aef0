"""In which threads a request runs: those that wait for locks, or hash passwords, cannot keep the
others waiting."""

from django.conf import settings
from django.urls import reverse

from apps.core.http.endpoint_checks import routes_of
from apps.core.threads import BoundedPool
from config.api import router

# More than one network may hold connections, so that it cannot keep all others out. How long one
# waits is bounded by the time; this bounds the memory of those who do.
QUEUE = 512

_LANES = {
    name: BoundedPool(name, threads, wait=settings.THREAD_WAIT, queue=QUEUE)
    for name, threads in (
        ("reading", settings.READING_THREADS),
        ("writing", settings.WRITING_THREADS),
        ("hashing", settings.HASHING_THREADS),
    )
}
SAFE = {"GET", "HEAD", "OPTIONS"}

# What hashes a password, by method and path: the bridge must know before any view runs. Of the
# admin's pages, which are Django's, two do.
HASHING = {
    (route.method, reverse(route.name))
    for route in routes_of(router.urls)
    if route.endpoint is not None and route.endpoint.hashes
} | {("POST", reverse(f"admin:{page}")) for page in ("login", "password_change")}


def pool_of(method: str, path: str) -> BoundedPool:
    """Return the pool that a request with this method and path runs in."""
    if (method, path) in HASHING:
        return _LANES["hashing"]
    return _LANES["reading" if method in SAFE else "writing"]
