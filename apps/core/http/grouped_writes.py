"""Writes whose requests are answered by the event loop, and committed in groups.

An endpoint declares one with `grouped=`: the twin of its method that commits the write together
with those that wait at the same moment. Such a request takes no thread of its own and does not pass
through Django. What is unusual about a request, or wrong with it, is left to the view, so that each
refusal is made in one place. docs/decisions/0031-grouped-writes.md says why it works like this.
"""

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from rest_framework.exceptions import ValidationError

from apps.core.addresses import network_of
from apps.core.http.conditional import etag_of
from apps.core.http.endpoints import CHANGES, Endpoint, created_in
from apps.core.http.envelope import dumps, meta_of
from apps.core.http.handler import as_domain_error
from apps.core.http.head_lines import added_headers
from apps.core.http.hot_reads import LONGEST_VALUE
from apps.core.http.middleware import address_in, request_id
from apps.core.http.negotiation import surely_accepts_json
from apps.core.http.request_log import log_request
from apps.core.ratelimit import pass_network
from apps.core.serializers import CamelSerializer

Environ = dict[str, Any]

# A request with a longer body is left to the view: it is parsed on the loop.
LONGEST_BODY = 32 * 1024
JSON = {"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"}


@dataclass(frozen=True, eq=False)
class GroupedRoute:
    """A method of a route whose endpoint declares a grouped write."""

    method: str
    template: str
    find: Callable[[str], "re.Match[str] | None"]
    allow: str
    endpoint: Endpoint
    write: Callable[..., Awaitable[Any]]
    input: type[CamelSerializer]


@dataclass(frozen=True, slots=True)
class Written:
    """The whole answer to a request."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A valid request: its route, its token, the headers that every answer to it has, and what its
    write is given."""

    route: GroupedRoute
    token: str
    headers: tuple[tuple[bytes, bytes], ...]
    given: Mapping[str, Any]


class GroupedWrites:
    """The grouped writes of a process. Lives on its event loop.

    `find_user` returns the user of an access token, and None for one that the view must look at.
    """

    def __init__(
        self,
        routes: Iterable[GroupedRoute],
        find_user: Callable[[str], Awaitable[Any]],
    ) -> None:
        self._routes = list(routes)
        self._find_user = find_user

    async def answer(self, environ: Environ) -> Written | None:
        """Return the answer to a request whose body has arrived, None if the view must answer.

        A request of whom the address limit was consumed is marked as `parley.counted`.
        """
        accepted = self._accept(environ)
        if accepted is None:
            return None
        user = await self._find_user(accepted.token)
        if user is None or not pass_network(network_of(address_in(environ))):
            return None
        environ["parley.counted"] = True
        own_id = request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        structlog.contextvars.bind_contextvars(request_id=own_id, user_id=str(user.pk))
        endpoint = accepted.route.endpoint
        headers = [*accepted.headers, (b"allow", accepted.route.allow.encode())]
        try:
            result = await accepted.route.write(user, **accepted.given)
        except Exception as error:  # noqa: BLE001
            refusal = as_domain_error(error)
            status, body = refusal.status, {"success": False, **refusal.as_dict()}
            headers += _encoded(refusal.headers)
        else:
            status, data = endpoint.shown(result)
            body = {"success": True, "message": endpoint.message, "data": data}
            if endpoint.revision:
                etag = etag_of(dumps(data), str(getattr(result, endpoint.revision)))
                headers += _encoded({"ETag": etag})
        return _written(environ, accepted.route, own_id, str(user.pk), status, headers, body)

    def _accept(self, environ: Environ) -> _Accepted | None:
        """Return the request if its write can be grouped, None if the view must answer it."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if (
            scheme.lower() != "bearer"
            or environ.get("CONTENT_TYPE") not in JSON
            or environ["QUERY_STRING"]
            or "HTTP_IDEMPOTENCY_KEY" in environ
            or not surely_accepts_json(environ.get("HTTP_ACCEPT", "*/*"))
            or environ.get("parley.body_late")
            or environ["parley.body_too_large"]
            or int(environ["CONTENT_LENGTH"]) > LONGEST_BODY
        ):
            return None
        found = self._find(method, path)
        names = ("HTTP_HOST", "HTTP_ORIGIN", "HTTP_X_FORWARDED_PROTO")
        host, origin, proto = (environ.get(name) for name in names)
        if any(len(value or "") > LONGEST_VALUE for value in (host, origin, proto)):
            return None
        headers = added_headers(host or "", origin, proto)
        given = None if found is None else _given(found[0], environ)
        if found is None or headers is None or given is None:
            return None
        route, variables = found
        return _Accepted(route, token.strip(), headers, variables | given)

    def _find(self, method: str, path: str) -> tuple[GroupedRoute, dict[str, Any]] | None:
        for route in self._routes:
            if route.method == method and (match := route.find(path)):
                return route, match.groupdict()
        return None


def _given(route: GroupedRoute, environ: Environ) -> dict[str, Any] | None:
    """Return what the body and the headers give to the write; None if the body is not valid."""
    stream = environ["wsgi.input"]
    try:
        body = orjson.loads(stream.read())
        given = route.input.load(body) if isinstance(body, dict) else None
    except (orjson.JSONDecodeError, ValidationError):
        given = None
    # The view, if it answers, reads from the beginning.
    stream.seek(0)
    if given is not None and route.endpoint.revision and route.method in CHANGES:
        given["if_match"] = environ.get("HTTP_IF_MATCH", "")
    return given


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _written(
    environ: Environ,
    route: GroupedRoute,
    own_id: str,
    user_id: str,
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: Mapping[str, Any],
) -> Written:
    """Return the whole answer, and log the request."""
    arrived = environ["parley.arrived"]
    meta = meta_of(own_id, environ["PATH_INFO"], route.method, arrived)
    content = dumps({**body, "meta": meta})
    headers += [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"x-request-id", own_id.encode()),
    ]
    log_request(
        method=route.method,
        route=route.template,
        status=status,
        ms=(time.time() - arrived) * 1000,
        request_id=own_id,
        user_id=user_id,
        address=address_in(environ),
        created=created_in(status, body.get("data")),
    )
    return Written(status, headers, content)
