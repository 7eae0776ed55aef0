"""Requests that wait for events, answered on the event loop, before the bridge.

docs/decisions/0043-polls.md says why. What is unusual about a request, or wrong with it, is left to
the view, so that each refusal is made in one place.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import QueryDict
from rest_framework.exceptions import ValidationError

from apps.core.addresses import network_of
from apps.core.errors import Busy, RateLimited
from apps.core.http.answering_protocol import COUNTED, REFUSAL, WITH_BODY
from apps.core.http.bridge import wait_for_disconnect
from apps.core.http.envelope import dumps, meta_of
from apps.core.http.handler import as_domain_error
from apps.core.http.head_lines import added_headers
from apps.core.http.middleware import address_in_scope, request_id
from apps.core.http.negotiation import surely_accepts_json
from apps.core.http.protocol import STOPPING, WHEN_STOPPING
from apps.core.http.request_heads import used
from apps.core.http.request_log import log_request
from apps.core.ratelimit import consume_address, consume_address_locally, pass_network
from apps.realtime.errors import POLLS_PER_USER, StreamNotFound, TooManyPolls
from apps.realtime.event_pages import EventPage
from apps.realtime.hub import hub
from apps.realtime.poll_serializers import EventsOutput, EventsQuery, points_of
from apps.realtime.polls import Poll
from apps.realtime.reader_checks import ReaderChecks
from apps.realtime.registry import SocketAuthenticator
from apps.realtime.resume_points import ResumePoint
from apps.realtime.sockets import Identity
from apps.realtime.threads import in_poll_thread, in_redis_thread
from apps.realtime.views import EventViewSet

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

PATH = "/api/v1/events"
ENDPOINT = EventViewSet.list.endpoint
# The headers that matter. A request that has one of them twice is left to the view.
USED = {
    b"accept",
    b"authorization",
    b"host",
    b"origin",
    b"x-forwarded-proto",
    *WITH_BODY,
}
# What the view adds to the headers of every answer.
OF_VIEW = ((b"allow", b"GET, HEAD, OPTIONS"), (b"cache-control", b"no-store"))
# Longer than a query for as many streams as are allowed.
LONGEST_QUERY = 4096
# The status of a request whose client left before it was answered, as nginx has it.
ABANDONED = 499


@dataclass(frozen=True, slots=True)
class PollRequest:
    """A request that waits: who asks for what, for how many seconds, and the headers that the
    middleware adds to its answer."""

    request_id: str
    arrived: float
    address: str
    token: str
    points: Mapping[str, ResumePoint]
    seconds: int
    headers: Headers


class EventPolls:
    """An ASGI application that answers requests which wait for events, and passes all others to
    another application. A request that waits takes no thread."""

    def __init__(self, rest: Application, authenticator: SocketAuthenticator) -> None:
        self._rest = rest
        self._authenticator = authenticator
        self._checks = ReaderChecks()
        self._of_user: Counter[UUID] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = read_poll(scope) if scope["path"] == PATH else None
        if request is None:
            await self._rest(scope, receive, send)
            return
        scope["parley.arrived"] = request.arrived
        status, user_id = 200, ""
        try:
            await _count(request)
            scope[COUNTED] = True
            reader = await in_poll_thread(self._authenticator.identify, request.token)
            user_id = str(reader.user_id)
            page = await self._page(scope, receive, request, reader)
        except Exception as error:  # noqa: BLE001
            _note_refusal(scope, error)
            await self._rest(scope, _without_body(receive), send)
            return
        if page is None:
            status = ABANDONED
        else:
            await _answer(request, page, send)
        log_request(
            method="GET",
            route=PATH,
            status=status,
            ms=(time.time() - request.arrived) * 1000,
            request_id=request.request_id,
            user_id=user_id,
            address=request.address,
        )

    async def _page(
        self, scope: Scope, receive: Receive, request: PollRequest, reader: Identity
    ) -> EventPage | None:
        """Return what the request is answered with, None if its client left. Raise StreamNotFound,
        TooManyPolls or Unauthorized."""
        with self._place_of(reader.user_id):
            poll = Poll(reader, request.request_id, of_several=len(request.points) > 1)
            scope[WHEN_STOPPING] = poll.end
            if scope.get(STOPPING):
                poll.end()
            left = asyncio.create_task(wait_for_disconnect(receive))
            left.add_done_callback(lambda _: poll.end())
            try:
                await poll.collect(hub(self._authenticator), request.points, request.seconds)
                if left.done():
                    return None
            finally:
                left.cancel()
        if poll.refused:
            raise StreamNotFound
        await self._checks.require(reader, poll.page)
        return poll.page

    @contextmanager
    def _place_of(self, user_id: UUID) -> Iterator[None]:
        """Count a request that waits among those of its user; raise TooManyPolls."""
        if self._of_user[user_id] >= POLLS_PER_USER:
            raise TooManyPolls
        self._of_user[user_id] += 1
        try:
            yield
        finally:
            self._of_user[user_id] -= 1
            if not self._of_user[user_id]:
                del self._of_user[user_id]


def read_poll(scope: Scope) -> PollRequest | None:
    """Return the request if it waits, None if the view must answer it."""
    arrived, query = time.time(), scope["query_string"]
    if scope["method"] != "GET" or b"wait=" not in query or len(query) > LONGEST_QUERY:
        return None
    headers = used(scope["headers"], USED)
    asked = _asked(query)
    if headers is None or asked is None or not WITH_BODY.isdisjoint(headers):
        return None
    added = added_headers(
        headers.get(b"host", ""), headers.get(b"origin"), headers.get(b"x-forwarded-proto")
    )
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    accepted = surely_accepts_json(headers.get(b"accept", "*/*"))
    if added is None or scheme.lower() != "bearer" or not accepted:
        return None
    seconds = asked.pop("wait")
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return PollRequest(
        request_id(given),
        arrived,
        address_in_scope(scope),
        token.strip(),
        points_of(**asked),
        seconds,
        added,
    )


def _asked(query: bytes) -> dict[str, Any] | None:
    """Return the validated query, None if it is wrong or is answered at once."""
    try:
        asked = EventsQuery.load(QueryDict(query).dict())
    except (ValidationError, SuspiciousOperation):
        return None
    return asked if asked.get("wait") and "after" in asked else None


async def _count(request: PollRequest) -> None:
    """Count the request for its network; raise RateLimited."""
    if not pass_network(network_of(request.address)):
        # The requests of a flood wait for no thread.
        consume_address_locally(request.address)
        await in_redis_thread(consume_address, request.address)


def _note_refusal(scope: Scope, error: Exception) -> None:
    """Note with which refusal the request is to be answered if the view does not know it."""
    if isinstance(error, OperationalError | InterfaceError):
        # The view would wait for the same database again.
        error = Busy()
    refusal = as_domain_error(error)
    if isinstance(refusal, RateLimited | Busy):
        scope[REFUSAL] = refusal


def _without_body(receive: Receive) -> Receive:
    """Return what begins with the empty body of the request, which was received already."""
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive_again() -> dict[str, Any]:
        return next(messages, None) or await receive()

    return receive_again


async def _answer(request: PollRequest, page: EventPage, send: Send) -> None:
    """Send the page in the common envelope, with the headers that the view would send."""
    content = {
        "success": True,
        "message": ENDPOINT.message,
        "data": EventsOutput.dump(page),
        "meta": meta_of(request.request_id, PATH, "GET", request.arrived),
    }
    body = dumps(content)
    own = (
        *OF_VIEW,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request.request_id.encode()),
    )
    names = {name for name, _ in own}
    headers = [one for one in request.headers if one[0] not in names]
    await send({"type": "http.response.start", "status": 200, "headers": [*headers, *own]})
    await send({"type": "http.response.body", "body": body})
