"""In which threads a request runs: those that hash passwords cannot keep the others waiting."""

from django.conf import settings

from apps.core.threads import BoundedPool

# More than one network may hold connections, so that it cannot keep all others out. How long one
# waits is bounded by the time; this bounds the memory of those who do.
QUEUE = 512

_http = BoundedPool("http", settings.HTTP_THREADS, wait=settings.THREAD_WAIT, queue=QUEUE)
_hashing = BoundedPool("hashing", settings.HASHING_THREADS, wait=settings.THREAD_WAIT, queue=QUEUE)


def pool_of(method: str, path: str) -> BoundedPool:
    """Return the pool that a request with this method and path runs in."""
    return _hashing if (method, path) in settings.HASHING_ROUTES else _http
