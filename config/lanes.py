"""In which threads a request runs: those that hash passwords cannot keep the others waiting."""

from django.conf import settings

from apps.core.threads import BoundedPool

_http = BoundedPool("http", settings.HTTP_THREADS, wait=settings.THREAD_WAIT, queue=256)
_hashing = BoundedPool("hashing", settings.HASHING_THREADS, wait=settings.THREAD_WAIT, queue=64)


def pool_of(method: str, path: str) -> BoundedPool:
    """Return the pool that a request with this method and path runs in."""
    return _hashing if (method, path) in settings.HASHING_ROUTES else _http
