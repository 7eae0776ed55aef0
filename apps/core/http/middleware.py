"""What happens to every request before a view sees it."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.encoding import escape_uri_path

from apps.core.addresses import address_of, network_of
from apps.core.errors import DomainError, PayloadTooLarge, RequestTimeout
from apps.core.http.envelope import bare_refusal
from apps.core.ids import uuid7
from apps.core.ratelimit import consume_address, consume_address_here

log = structlog.get_logger("parley.request")

GetResponse = Callable[[HttpRequest], HttpResponseBase]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Longer than what as many proxies as can be configured have to say.
LONGEST_CHAIN = 1024


def request_id(given: str) -> str:
    """Return the client's own X-Request-ID where it may be one, else a fresh one."""
    return given if _REQUEST_ID.fullmatch(given) else str(uuid7())


class RequestLog:
    """Names the request, measures it and writes its one line."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response with its X-Request-ID."""
        request.id = request_id(request.headers.get("X-Request-ID", ""))  # type: ignore[attr-defined]
        request.arrived = request.META.get("parley.arrived", time.time())  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request.id)  # type: ignore[attr-defined]
        response = self.get_response(request)
        response["X-Request-ID"] = request.id  # type: ignore[attr-defined]
        match = request.resolver_match
        log.info(
            "request",
            method=request.method,
            route=f"/{match.route.rstrip('$')}" if match else None,
            status=response.status_code,
            ms=round((time.time() - request.arrived) * 1000, 1),  # type: ignore[attr-defined]
        )
        return response


class ApiHeaders:
    """Says of the API's answers that they are no pages, and not to be kept unasked."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response with those headers."""
        response = self.get_response(request)
        if request.path.startswith("/api/"):
            # A cache on the way must ask again each time; ETag makes that cheap.
            response.setdefault("Cache-Control", "private, no-cache")
            response.setdefault(
                "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"
            )
        return response


class ApiMiddleware:
    """Turns away what no view should have to look at.

    It stands before static files and pages too, since each of them takes a thread. Only what a
    browser asks before a request of another origin is answered earlier, by CORS.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return a refusal, a redirect to the path without its slash, or the view's response."""
        try:
            if refusal := request.META.get("parley.refusal"):
                # First, since this runs on the loop, where nothing may wait.
                raise refusal
            consume_address(client_address(request))
            # Raises DisallowedHost.
            request.get_host()
            self._check_body(request)
        except DomainError as error:
            return bare_refusal(request, error)
        if request.path.startswith("/api/") and request.path.endswith("/"):
            return self._without_slash(request)
        return self.get_response(request)

    def _check_body(self, request: HttpRequest) -> None:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if request.META.get("parley.body_late"):
            raise RequestTimeout
        if request.META.get("parley.body_too_large") or int(length) > settings.BODY_LIMIT:
            raise PayloadTooLarge(f"The request body is larger than {settings.BODY_LIMIT} bytes")

    def _without_slash(self, request: HttpRequest) -> HttpResponse:
        # Slashes at the front would make it the address of another host.
        path = "/" + escape_uri_path(request.path).strip("/")
        query = request.META.get("QUERY_STRING", "")
        response = HttpResponse(status=308)
        response["Location"] = f"{path}?{query}" if query else path
        return response


def admit(environ: Mapping[str, Any]) -> str:
    """Return the network of the client, which has a share of the threads; raise RateLimited for one
    that asks this process alone more often than all may be asked.

    The bridge calls it on the loop, before a request waits for a thread, so that whoever floods the
    server waits for none. ApiMiddleware then asks what all processes know together.
    """
    address = _address_in(environ)
    consume_address_here(address)
    return network_of(address)


def client_address(request: HttpRequest) -> str:
    """Return the address of the client, in its one spelling, believing as many proxies as are
    configured."""
    return _address_in(request.META)


def _address_in(environ: Mapping[str, Any]) -> str:
    return address_behind(environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""))


def address_behind(peer: str, forwarded_for: str) -> str:
    """Return the client's address, given the socket's peer and X-Forwarded-For.

    Each trusted proxy has appended the address it was called from, so that the client's stands
    that many places from the right; what stands further left anybody may have written, a megabyte
    of it even, which nobody looks at.
    """
    said = forwarded_for[-LONGEST_CHAIN:].split(",")
    hops = [hop for hop in said if hop.strip()] + [peer]
    return address_of(hops[max(0, len(hops) - 1 - settings.SERVER_TRUSTED_PROXIES)])
