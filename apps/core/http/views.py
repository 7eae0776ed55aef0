"""The answers to requests that reach no view."""

import sys
from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from apps.core.errors import BadRequest, Forbidden, NotFound, UnknownHost
from apps.core.http.envelope import bare_refusal
from apps.core.http.handler import unexpected


# A CSRF error would hide from a program that its path is wrong.
@csrf_exempt
def unknown_route(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """Answer an unknown path."""
    return bare_refusal(request, NotFound("There is no such route"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django itself rejects, for example for an unknown host."""
    if isinstance(exception, DisallowedHost):
        return bare_refusal(request, UnknownHost())
    return bare_refusal(request, BadRequest())


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that a page forbids."""
    return bare_refusal(request, Forbidden())


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an exception outside of the API's views: in a middleware, or in a page."""
    return bare_refusal(request, unexpected(sys.exception()))
