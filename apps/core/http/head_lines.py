"""The headers that the middleware adds to every answer, for answers that are given before it.

They are learnt from the middleware itself, so that each is written once: it runs around an empty
answer, and what it adds depends on a few headers of the request only.
"""

from functools import lru_cache

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

# The middleware that adds headers to answers of the API, the outermost first. Of the rest of
# MIDDLEWARE, RequestLog adds the request's own id, and the others add nothing.
ADDING_HEADERS = (
    "django.middleware.security.SecurityMiddleware",
    "apps.core.http.middleware.ApiHeaders",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
)
# How many combinations of request headers are remembered. Clients choose them.
REMEMBERED = 256

Headers = tuple[tuple[bytes, bytes], ...]


@lru_cache(REMEMBERED)
def head_lines(host: str, origin: str | None, forwarded_proto: str | None) -> bytes | None:
    """Return added_headers() as the lines of a head, None if they are None."""
    headers = added_headers(host, origin, forwarded_proto)
    if headers is None:
        return None
    return b"".join(name + b": " + value + b"\r\n" for name, value in headers)


@lru_cache(REMEMBERED)
def added_headers(host: str, origin: str | None, forwarded_proto: str | None) -> Headers | None:
    """Return what the middleware adds to an answer of the API to a request with these headers; None
    if the middleware would answer the request itself, for example because the host is unknown."""
    request = HttpRequest()
    request.method = "GET"
    request.path = request.path_info = "/api/"
    given = {
        "HTTP_HOST": host,
        "HTTP_ORIGIN": origin,
        "HTTP_X_FORWARDED_PROTO": forwarded_proto,
    }
    request.META = {name: value for name, value in given.items() if value is not None}
    try:
        request.get_host()
        response = _through_middleware(request)
    except DisallowedHost:
        return None
    if response.status_code != 200:
        return None
    own = [(name, value) for name, value in response.items() if name != "Content-Type"]
    return tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in own)


def _through_middleware(request: HttpRequest) -> HttpResponse:
    def answer(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    handler = answer
    for path in reversed(ADDING_HEADERS):
        handler = import_string(path)(handler)
    return handler(request)
