"""The answers to requests that no view is there for."""

import sys
from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from apps.core.errors import BadRequest, Forbidden, NotFound, UnknownHost
from apps.core.http.envelope import bare_refusal
from apps.core.http.handler import unexpected


# Who asks for a cookie's token here would hide from a program that its path is wrong.
@csrf_exempt
def unknown_route(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """Answer a path that leads nowhere."""
    return bare_refusal(request, NotFound("There is no such route"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django itself finds wrong with a request, such as an unknown host."""
    if isinstance(exception, DisallowedHost):
        return bare_refusal(request, UnknownHost())
    return bare_refusal(request, BadRequest())


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a page's refusal."""
    return bare_refusal(request, Forbidden())


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an exception outside of the API's views: in a middleware, or in a page."""
    return bare_refusal(request, unexpected(sys.exception()))
