"""Writes whose requests are answered by the event loop, and committed in groups.

An endpoint declares one with `grouped=`: the twin of its method that commits the write together
with those that wait at the same moment. Such a request takes no thread of its own and passes
neither through an ASGI application nor through Django. What is unusual about a request, or wrong
with it, is left to the view, so that each refusal is made in one place.
docs/decisions/0031-grouped-writes.md says why it works like this.
"""

import re
import string
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from rest_framework.exceptions import ValidationError
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from apps.core.addresses import network_of
from apps.core.http.conditional import etag_of
from apps.core.http.endpoints import CHANGES, Endpoint, created_in
from apps.core.http.envelope import dumps, meta_of
from apps.core.http.handler import as_domain_error
from apps.core.http.head_lines import head_lines
from apps.core.http.middleware import address_behind, request_id
from apps.core.http.negotiation import surely_accepts_json
from apps.core.http.request_heads import LONGEST_VALUE, used
from apps.core.http.request_log import log_request
from apps.core.ratelimit import pass_network
from apps.core.serializers import CamelSerializer

# A request with a longer body is left to the view: it is parsed on the loop.
LONGEST_BODY = 32 * 1024
JSON = {"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"}
# The headers that change an answer, or how the body is sent. A request that has one of them twice
# is left to the view.
USED = {
    b"accept",
    b"authorization",
    b"content-length",
    b"content-type",
    b"expect",
    b"host",
    b"idempotency-key",
    b"if-match",
    b"origin",
    b"transfer-encoding",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-request-id",
}
# What the path of a request consists of that has no query, and nothing to decode.
_PLAIN = frozenset(f"{string.ascii_letters}{string.digits}/-_")
# A request with one of these is the view's.
UNUSUAL = (b"expect", b"idempotency-key", b"transfer-encoding")


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
class WriteRequest:
    """The head of a request whose write can be grouped, if its body is valid: its route with the
    variables of the path, and the headers that matter."""

    route: GroupedRoute
    path: str
    variables: Mapping[str, str]
    arrived: float
    token: str
    address: str
    headers: Mapping[bytes, str]
    head_lines: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """The whole answer to a request. `lines` are its headers as they are sent."""

    status: int
    lines: bytes
    body: bytes

    def response(self, more_lines: bytes) -> bytes:
        """Return the bytes of the answer, with the headers that the server adds."""
        return b"".join([STATUS_LINE[self.status], more_lines, self.lines, b"\r\n", self.body])


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

    def accept(
        self, method: str, target: str, headers: Sequence[tuple[bytes, bytes]], peer: str
    ) -> WriteRequest | None:
        """Return the request if its write can be grouped, None if the view must answer it."""
        arrived = time.time()
        # The path of an unusual address may be another one than its text.
        if len(target) > LONGEST_VALUE or not _PLAIN.issuperset(target):
            return None
        found = self._find(method, target)
        given = None if found is None else used(headers, USED)
        if found is None or given is None:
            return None
        scheme, _, token = given.get(b"authorization", "").partition(" ")
        length = given.get(b"content-length", "")
        lines = head_lines(
            given.get(b"host", ""), given.get(b"origin"), given.get(b"x-forwarded-proto")
        )
        if (
            scheme.lower() != "bearer"
            or given.get(b"content-type") not in JSON
            or not surely_accepts_json(given.get(b"accept", "*/*"))
            or any(name in given for name in UNUSUAL)
            or not (length.isdigit() and int(length) <= LONGEST_BODY)
            or lines is None
        ):
            return None
        route, variables = found
        address = address_behind(peer, given.get(b"x-forwarded-for", ""))
        return WriteRequest(route, target, variables, arrived, token.strip(), address, given, lines)

    async def answer(self, request: WriteRequest, content: bytes) -> Written | None:
        """Return the answer to a request whose body has arrived, None if the view must answer.

        The limit on addresses has counted a request that is answered here, and no other.
        """
        given = _given(request, content)
        if given is None:
            return None
        user = await self._find_user(request.token)
        if user is None or not pass_network(network_of(request.address)):
            return None
        endpoint = request.route.endpoint
        own_id, user_id = request_id(request.headers.get(b"x-request-id", "")), str(user.pk)
        # For the line about a failure. Each request has a task, and so a context, of its own.
        structlog.contextvars.bind_contextvars(request_id=own_id, user_id=user_id)
        headers: Mapping[str, str] = {}
        created = ""
        try:
            result = await request.route.write(user, **request.variables, **given)
            status, data = endpoint.shown(result)
            created = created_in(status, data)
            shown = dumps(data)
            if endpoint.revision:
                headers = {"ETag": etag_of(shown, str(getattr(result, endpoint.revision)))}
            body = {"success": True, "message": endpoint.message, "data": orjson.Fragment(shown)}
        except Exception as error:  # noqa: BLE001
            refusal = as_domain_error(error)
            status, headers = refusal.status, refusal.headers
            body = {"success": False, **refusal.as_dict()}
        written = _written(request, own_id, status, headers, body)
        log_request(
            method=request.route.method,
            route=request.route.template,
            status=status,
            ms=(time.time() - request.arrived) * 1000,
            request_id=own_id,
            user_id=user_id,
            address=request.address,
            created=created,
        )
        return written

    def _find(self, method: str, path: str) -> tuple[GroupedRoute, dict[str, str]] | None:
        for route in self._routes:
            if route.method == method and (match := route.find(path)):
                return route, match.groupdict()
        return None


def _given(request: WriteRequest, content: bytes) -> dict[str, Any] | None:
    """Return what the body and the headers give to the write; None if the body is not valid."""
    route = request.route
    try:
        body = orjson.loads(content)
        given = route.input.load(body) if isinstance(body, dict) else None
    except (orjson.JSONDecodeError, ValidationError):
        return None
    if given is not None and route.endpoint.revision and route.method in CHANGES:
        given["if_match"] = request.headers.get(b"if-match", "")
    return given


def _written(
    request: WriteRequest,
    own_id: str,
    status: int,
    headers: Mapping[str, str],
    body: Mapping[str, Any],
) -> Written:
    """Return the whole answer."""
    route = request.route
    meta = meta_of(own_id, request.path, route.method, request.arrived)
    content = dumps({**body, "meta": meta})
    lines = {
        **headers,
        "allow": route.allow,
        "content-type": "application/json",
        "content-length": len(content),
        "x-request-id": own_id,
    }
    own_lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in lines.items())
    return Written(status, request.head_lines + own_lines.encode(), content)
