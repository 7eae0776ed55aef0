"""GETs that are answered from kept bytes, on the event loop, before Django is asked.

An endpoint declares one with `hot=HotRead(...)`. docs/speed.md shows how, and says what must never
be one; docs/decisions/0028-hot-reads.md says why it works like this.
"""

import time
from asyncio import Future
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from math import inf
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from apps.core.gather import LARGEST_LOAD, Gather, InThread
from apps.core.http.conditional import etag_of, names_etag
from apps.core.http.envelope import dumps, timestamp
from apps.core.http.request_heads import LONGEST_VALUE, RequestHead
from apps.core.http.request_log import log_request
from apps.core.ids import new_request_id
from apps.core.kept import Kept, LoadStart
from apps.core.ratelimit import pass_network

K = TypeVar("K", bound=Hashable)

# Of how many addresses and users the parsed or written form is remembered.
REMEMBERED = 2048


# A named tuple, as Answer is, since one is made for each thing that is loaded: a frozen dataclass
# takes much longer to make.
class Shown(NamedTuple):
    """What one GET shows: the JSON of its `data` and `pagination`, and the tags of all that is in
    it. `revision` is that of the endpoint, and `subject` is what `seen` is told. `as_of` is since
    when changes may be missing in it, by time.monotonic(), if that was before it was loaded."""

    data: bytes
    tags: Sequence[str]
    revision: str = ""
    pagination: bytes = b""
    subject: Any = None
    as_of: float = inf
    # The numbers of the streams whose events change what is shown, read before it.
    streams: Mapping[str, int] = MappingProxyType({})


@dataclass(slots=True)
class Reader:
    """Who reads. `user_id` is None for an anonymous user."""

    user_id: UUID | None
    address: str
    user_agent: str


def everyone(key: Any, reader: Reader) -> bool:
    """Return True: the answer is the same for every reader."""
    return True


@dataclass(frozen=True, kw_only=True)
class HotRead(Generic[K]):
    """How a GET is answered from kept bytes."""

    # Returns the key of what is shown, given the variables of the path and the query string; None
    # if the view must answer.
    key: Callable[[Mapping[str, str], str], K | None]
    # Returns what the keys show, without those that the view must answer. Runs in a thread.
    load: Callable[[Sequence[K]], Mapping[K, Shown]]
    # Returns whether a reader is shown the same as everyone; otherwise the view answers.
    same_for: Callable[[K, Reader], bool] = everyone
    # How many keys one call loads at most: it holds a thread while it reads them, and the
    # interpreter while it renders them.
    most: int = LARGEST_LOAD
    # Is told the subject of what a reader was shown. It runs on the loop, so it must not block.
    seen: Callable[[Any, Reader], None] | None = None


@dataclass(frozen=True, eq=False)
class HotRoute:
    """A route with a hot read, and what all of its answers have in common."""

    name: str
    template: str
    find: Callable[[str], Any]
    message: str
    allow: str
    read: HotRead[Any]


class Answer(NamedTuple):
    """An answer as it is kept: its body up to `meta` and what ends it, its ETag or "", the lines
    that are in its head each time, its tags, what `seen` is told, and since when changes may be
    missing."""

    body: bytes
    end: bytes
    etag: str
    lines: bytes
    tags: Sequence[str]
    subject: Any
    as_of: float


@dataclass(slots=True)
class HotRequest:
    """A request that can be answered here, if what it asks for is found."""

    method: str
    path: str
    arrived: float
    request_id: str
    route: HotRoute
    key: Hashable
    reader: Reader
    head: RequestHead


class HotReads:
    """The hot reads of a process. Lives on its event loop.

    `in_thread` runs a load. `known_user` returns the id of the user of an access token whose
    session was found active seconds ago, and None for any other.
    """

    def __init__(
        self,
        routes: Iterable[HotRoute],
        in_thread: InThread[Any, Any],
        known_user: Callable[[str], UUID | None],
    ) -> None:
        self._cache = Kept[Answer](settings.CACHE_MEGABYTES * 1024 * 1024)
        self._known_user = known_user
        self._gathers = {
            route: Gather[Any, Answer](
                partial(_load, route),
                in_thread,
                self._cache,
                partial(self._keep, route),
                route.read.most,
            )
            for route in routes
        }
        self._find = lru_cache(REMEMBERED)(self._find_uncached)

    def accept(self, method: str, target: str, head: RequestHead) -> HotRequest | None:
        """Return the request if it can be answered here, None if the view must answer it.

        A request that is returned was counted by the limit on addresses.
        """
        arrived = time.time()
        if len(target) > LONGEST_VALUE:
            return None
        path, _, query = target.partition("?")
        found = self._find(path, query)
        user_id = self._user_of(head.authorization)
        if found is None or user_id is _UNKNOWN:
            return None
        route, key = found
        reader = Reader(user_id, head.address, head.user_agent)
        if not (route.read.same_for(key, reader) and pass_network(head.network)):
            return None
        request_id = head.request_id or new_request_id()
        return HotRequest(method, path, arrived, request_id, route, key, reader, head)

    def kept(self, request: HotRequest) -> Answer | None:
        """Return the answer if it is kept."""
        return self._cache.get((request.route, request.key))

    def load(self, request: HotRequest) -> "Future[Answer | None]":
        """Return the future of the answer, which is None if the view must answer."""
        return self._gathers[request.route].get(request.key, request.head.network)

    def _find_uncached(self, path: str, query: str) -> tuple[HotRoute, Any] | None:
        for route in self._gathers:
            if match := route.find(path):
                key = route.read.key(match.groupdict(), query)
                return None if key is None else (route, key)
        return None

    def _keep(self, route: HotRoute, key: Any, answer: Answer, start: LoadStart) -> None:
        if answer.as_of < start.at:
            start = replace(start, at=answer.as_of)
        # The key of a list holds the cursor that the client sent.
        size = len(answer.body) + len(str(key))
        self._cache.keep((route, key), answer, tags=answer.tags, size=size, start=start)

    def _user_of(self, authorization: str | None) -> Any:
        """Return the id of the user, None for an anonymous user, or _UNKNOWN."""
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        known = self._known_user(token.strip()) if scheme.lower() == "bearer" else None
        return _UNKNOWN if known is None else known


_UNKNOWN = object()


def render(request: HotRequest, answer: Answer, default_lines: bytes) -> bytes:
    """Return the whole response, log the request, and tell who saw what. `default_lines` are the
    headers that the server adds to all responses."""
    route, head = request.route, request.head
    ms = (time.time() - request.arrived) * 1000
    at = timestamp()
    own = f"x-request-id: {request.request_id}\r\n"
    status = 200
    if head.if_none_match and answer.etag and names_etag(head.if_none_match, answer.etag):
        status = 304
        body = meta = b""
    else:
        body = answer.body
        meta = (
            f'"meta":{{"requestId":"{request.request_id}","timestamp":"{at}",'
            f'"path":{_quoted(request.path)},"method":"{request.method}",'
            f'"version":{_quoted(settings.APP_VERSION)},"durationMs":{ms:.1f}'
        ).encode() + answer.end
        own += f"content-type: application/json\r\ncontent-length: {len(body) + len(meta)}\r\n"
        if request.method == "HEAD":
            body = meta = b""
    if route.read.seen is not None:
        route.read.seen(answer.subject, request.reader)
    log_request(
        method=request.method,
        route=route.template,
        status=status,
        ms=ms,
        request_id=request.request_id,
        user_id=_text(request.reader.user_id),
        address=head.address,
        at=at,
    )
    return b"".join(
        [
            STATUS_LINE[status],
            default_lines,
            head.lines,
            answer.lines,
            own.encode(),
            b"\r\n",
            body,
            meta,
        ]
    )


def log_abandoned(request: HotRequest) -> None:
    """Log a request whose client left before it was answered, with nginx's status for that."""
    log_request(
        method=request.method,
        route=request.route.template,
        status=499,
        ms=(time.time() - request.arrived) * 1000,
        request_id=request.request_id,
        user_id=_text(request.reader.user_id),
        address=request.head.address,
    )


def _load(route: HotRoute, keys: Sequence[Any]) -> dict[Any, Answer]:
    return {key: _answer(route, shown) for key, shown in route.read.load(keys).items()}


def _answer(route: HotRoute, shown: Shown) -> Answer:
    pagination = b'"pagination":' + shown.pagination + b"," if shown.pagination else b""
    body = b"".join(
        [
            b'{"success":true,"message":',
            dumps(route.message),
            b',"data":',
            shown.data,
            b",",
            pagination,
        ]
    )
    streams = b',"streams":' + dumps(shown.streams) if shown.streams else b""
    etag = etag_of(shown.data, shown.revision) if shown.revision else ""
    lines = f"allow: {route.allow}\r\n" + (f"etag: {etag}\r\n" if etag else "")
    return Answer(
        body, streams + b"}}", etag, lines.encode(), shown.tags, shown.subject, shown.as_of
    )


@lru_cache(REMEMBERED)
def _text(user_id: UUID | None) -> str:
    return "" if user_id is None else str(user_id)


@lru_cache(REMEMBERED)
def _quoted(text: str) -> str:
    return dumps(text).decode()
