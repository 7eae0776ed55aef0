"""Middleware that handles every request before a view does."""

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
from apps.core.http.request_log import log_request
from apps.core.http.routes import template_of
from apps.core.ids import new_request_id
from apps.core.ratelimit import consume_address, consume_address_locally

GetResponse = Callable[[HttpRequest], HttpResponseBase]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Longer than the X-Forwarded-For of the largest number of proxies that can be configured.
LONGEST_CHAIN = 1024
FORWARDED_FOR = b"x-forwarded-for"


def valid_request_id(given: str) -> str:
    """Return the client's own X-Request-ID if it is valid, else nothing."""
    return given if given and _REQUEST_ID.fullmatch(given) else ""


def request_id(given: str) -> str:
    """Return the client's own X-Request-ID if it is valid, else a new one."""
    return valid_request_id(given) or new_request_id()


class RequestLog:
    """Gives the request its id, measures it and logs its one line."""

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
        log_request(
            method=str(request.method),
            route=template_of(request, response.status_code),
            path=request.path,
            status=response.status_code,
            ms=(time.time() - request.arrived) * 1000,  # type: ignore[attr-defined]
            request_id=request.id,  # type: ignore[attr-defined]
            user_id=structlog.contextvars.get_contextvars().get("user_id", ""),
            address=client_address(request),
            created=getattr(request, "created", ""),
        )
        return response


class ApiHeaders:
    """Adds headers to API answers: caches revalidate them, and browsers run nothing in them."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response with those headers."""
        response = self.get_response(request)
        if request.path.startswith("/api/"):
            # A cache must revalidate each time; the ETag makes that cheap.
            response.setdefault("Cache-Control", "private, no-cache")
            response.setdefault(
                "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"
            )
        return response


class ApiMiddleware:
    """Refuses requests that no view should handle.

    It runs before static files and pages too, since each of them takes a thread. Only the CORS
    middleware runs earlier; it answers the preflight requests of browsers.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return a refusal, a redirect to the path without its slash, or the view's response."""
        try:
            if refusal := request.META.get("parley.refusal"):
                # This check comes first, because it runs on the loop, where nothing may wait.
                raise refusal
            if not request.META.get("parley.counted"):
                consume_address(client_address(request))
            # It raises DisallowedHost for an unknown host.
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
        # A path that begins with two slashes would be the address of another host.
        path = "/" + escape_uri_path(request.path).strip("/")
        query = request.META.get("QUERY_STRING", "")
        response = HttpResponse(status=308)
        response["Location"] = f"{path}?{query}" if query else path
        return response


def check_address_limit(environ: Mapping[str, Any]) -> str:
    """Return the network of the client, which has a share of the threads; raise RateLimited if its
    requests to this process alone exceed the limit for all processes.

    The bridge calls it on the loop, before a request waits for a thread, so that the requests of a
    flood wait for none. ApiMiddleware then counts the request together with the other processes.
    """
    address = address_in(environ)
    if not environ.get("parley.counted"):
        consume_address_locally(address)
    return network_of(address)


def client_address(request: HttpRequest) -> str:
    """Return the address of the client in its canonical spelling. It trusts as many proxies as are
    configured."""
    return address_in(request.META)


def address_in(environ: Mapping[str, Any]) -> str:
    """Return the address of the client, given a WSGI environment."""
    return address_behind(environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""))


def address_in_scope(scope: Mapping[str, Any]) -> str:
    """Return the address of the client, given the scope of an ASGI request or websocket."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == FORWARDED_FOR]
    # A header in several lines is one (RFC 9110, 5.3).
    return address_behind((scope.get("client") or ("", 0))[0], ",".join(lines))


def address_behind(peer: str, forwarded_for: str) -> str:
    """Return the client's address, given the socket's peer and X-Forwarded-For.

    Each trusted proxy appends the address that called it, so the client's address stands that many
    places from the right. The client may have written everything further left, even a megabyte of
    it, so only the last LONGEST_CHAIN characters are parsed.
    """
    addresses = forwarded_for[-LONGEST_CHAIN:].split(",")
    hops = [address for address in addresses if address.strip()] + [peer]
    return address_of(hops[max(0, len(hops) - 1 - settings.SERVER_TRUSTED_PROXIES)])
