"""One declaration per endpoint, from which everything but its domain call follows.

A method of a viewset takes the request, the variables of its path and the validated data, makes one
domain call and returns its result. The declaration above it decides the rest: who may call it and
how often, parsing, paging, conditional requests, rendering and OpenAPI. A declaration that
contradicts itself or its method is an error at import; one that does not fit its route is an error
of `manage.py check` (endpoint_checks.py).
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from functools import partial, wraps
from typing import Any, Protocol, cast, get_args, get_origin

from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import DomainError
from apps.core.http.conditional import conditional_answer
from apps.core.http.envelope import answer
from apps.core.http.hot_reads import HotRead
from apps.core.http.idempotency import Finish
from apps.core.http.pagination import Listing, ListQuery, paginate
from apps.core.serializers import CamelSerializer

# The methods that may carry If-Match, where the endpoint has a revision.
CHANGES = {"PUT", "PATCH", "DELETE"}
# The query parameters that select a page of a list.
PAGING = frozenset(ListQuery._declared_fields)

Method = Callable[..., Any]


class Access(IntEnum):
    """Who may call an endpoint. The greater value is the stricter one."""

    # Everyone: the body holds the credentials, and a token in the headers is ignored.
    CREDENTIALS = 0
    # Everyone; a token in the headers identifies the user.
    ANYONE = 1
    # Authenticated users only.
    USERS = 2


class EndpointHandler(Protocol):
    """A method as the router calls it, with its declaration."""

    endpoint: "Endpoint"
    # Parses the request and does the slow work; returns a function for the rest.
    prepare: Callable[..., Finish]

    def __call__(self, view: Any, request: Request, **path: Any) -> Response:
        """Return the answer to a request."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The declaration, which decorates the method."""

    # The sentence and the status of a success.
    message: str
    status: int = 200
    # The status if nothing was created. The method then returns the object and whether it is new.
    existing_status: int | None = None
    # The serializers of the body and of the query; their fields are passed to the method by name.
    input: type[CamelSerializer] | None = None
    query: type[CamelSerializer] | None = None
    # The serializer of what the method returns; None for an answer without data.
    output: type[CamelSerializer] | None = None
    # The default number of rows per page of a list. The query is then a ListQuery, whose own fields
    # are not passed to the method: it returns the whole list.
    per_page: int | None = None
    access: Access = Access.USERS
    # The name of the limit that is consumed first, for the user or else for the network.
    limit: str | None = None
    # The refusals of the domain call, which OpenAPI shows. Those that follow from the rest of the
    # declaration are not named: of credentials, limits, bodies, queries, keys and If-Match.
    refuses: Sequence[type[DomainError]] = ()
    # The attribute that counts the changes of an object. It is part of the ETag of an answer, and a
    # method that changes the object is given `if_match`: the client's If-Match or "".
    revision: str | None = None
    # Whether no cache may store the answer, because it holds a token (RFC 6749, 5.1), or what is
    # new at one moment.
    secret: bool = False
    # Whether the method hashes a password, which is done in threads of their own.
    hashes: bool = False
    # How a GET is answered from kept bytes, where everyone is shown the same.
    hot: HotRead[Any] | None = None
    # Gives the numbers of the streams whose events change the answer to a GET, for `meta.streams`.
    # What is shown is read in its block.
    streams: Callable[[Request], AbstractContextManager[Mapping[str, int]]] | None = None
    # The method's twin that commits a write together with those that wait at the same moment. It is
    # given the user in place of view and request, and consumes the limit itself.
    grouped: Callable[..., Awaitable[Any]] | None = None

    @property
    def keeps_answers(self) -> bool:
        """Return whether the answer to a POST is kept under its Idempotency-Key: only for a user,
        and not if it holds a secret."""
        return self.access is Access.USERS and not (self.secret and self.output)

    @property
    def hashes_before_lock(self) -> bool:
        """Return whether the method hashes first and returns a function for the rest.

        Under an Idempotency-Key the rest runs in the transaction that holds the key's lock, and a
        request that waits for the lock must not wait for a hash as well. An endpoint that takes no
        token keeps no key.
        """
        return self.hashes and self.access is not Access.CREDENTIALS

    def __call__(self, method: Method) -> EndpointHandler:
        """Return the handler of a method; raise ImproperlyConfigured if they contradict."""
        problems = [*self._contradictions(), *self._contradictions_to(method)]
        if problems:
            raise ImproperlyConfigured(f"{method.__qualname__} {', and it '.join(problems)}.")

        def prepare(view: Any, request: Request, **path: Any) -> Finish:
            given, query = self._read(request)
            call = partial(method, view, request, **path, **given)
            finish = call() if self.hashes_before_lock else call
            return lambda: self._answer_with_streams(request, finish, query)

        @wraps(method)
        def handler(view: Any, request: Request, **path: Any) -> Response:
            return prepare(view, request, **path)()

        declared = cast("EndpointHandler", handler)
        declared.endpoint, declared.prepare = self, prepare
        return declared

    def _read(self, request: Request) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Return the arguments of the method, and the whole query; raise ValidationError."""
        query = self.query.load(request.query_params.dict()) if self.query else {}
        given = self.input.load(request.data) if self.input else {}
        given |= {name: value for name, value in query.items() if name not in PAGING}
        if self.revision and request.method in CHANGES:
            given["if_match"] = request.headers.get("If-Match", "")
        return given, query

    def shown(self, result: Any) -> tuple[int, dict[str, Any]]:
        """Return the status and the data of a success, given what the method returned for one
        object."""
        assert self.output is not None
        status = self.status
        if self.existing_status:
            result, is_new = result
            status = self.status if is_new else self.existing_status
        return status, self.output.dump(result)

    def _answer_with_streams(
        self, request: Request, finish: Callable[[], Any], query: Mapping[str, Any]
    ) -> Response:
        if self.streams is None:
            return self._answer(request, finish(), query)
        with self.streams(request) as numbers:
            response = self._answer(request, finish(), query)
        response.data["meta"] = {"streams": numbers}
        return response

    def _answer(self, request: Request, result: Any, query: Mapping[str, Any]) -> Response:
        if self.output is None:
            return answer(self.message, status=self.status)
        if self.per_page:
            listing = result if isinstance(result, Listing) else Listing(result)
            page = paginate(listing.rows, query, self.per_page, listing.columns)
            shown = self.output.dump_all(listing.shown(page.rows))
            return answer(self.message, shown, pagination=page.pagination, status=self.status)
        if self.revision:
            revision = str(getattr(result, self.revision))
            return conditional_answer(request, self.message, self.output.dump(result), revision)
        status, data = self.shown(result)
        request._request.created = created_in(status, data)  # type: ignore[attr-defined]
        return answer(self.message, data, status=status)

    def _contradictions(self) -> list[str]:
        """Return how the declaration contradicts itself."""
        lists = self.query is not None and issubclass(self.query, ListQuery)
        statuses = {self.status, self.existing_status or self.status}
        wrong = {
            "has a ListQuery but no per_page": lists and not self.per_page,
            "has per_page but no ListQuery": self.per_page and not lists,
            "has per_page but no output": self.per_page and self.output is None,
            "has both per_page and revision": self.per_page and self.revision,
            "has both per_page and existing_status": self.per_page and self.existing_status,
            "has both revision and existing_status": self.revision and self.existing_status,
            "has a revision and a status other than 200": self.revision and self.status != 200,
            "has a revision and is secret": self.revision and self.secret,
            "has streams but no output": self.streams and self.output is None,
            "has a hot read but is not for anyone": self.hot and self.access is not Access.ANYONE,
            "has a hot read but no output": self.hot and self.output is None,
            "has a grouped write but is not for users": (
                self.grouped and self.access is not Access.USERS
            ),
            "has a grouped write but no input, no output or a query": (
                self.grouped and not (self.input and self.output and self.query is None)
            ),
            "has the status of a refusal, which is raised": not statuses <= set(range(200, 300)),
        }
        return [sentence for sentence, is_so in wrong.items() if is_so]

    def _contradictions_to(self, method: Method) -> list[str]:
        """Return how the declaration contradicts the return annotation of the method."""
        returned = inspect.signature(method).return_annotation
        if returned is inspect.Signature.empty:
            return ["has no return annotation"]
        returns_function = get_origin(returned) is Callable
        if returns_function:
            returned = get_args(returned)[-1]
        nothing = returned in {None, type(None)}
        lists = returned is QuerySet or get_origin(returned) is Listing
        pair = get_origin(returned) is tuple
        wrong = {
            "hashes before the lock but returns no function": (
                self.hashes_before_lock and not returns_function
            ),
            "returns a function but does not hash before the lock": (
                returns_function and not self.hashes_before_lock
            ),
            "has an output but returns nothing": self.output and nothing,
            "has no output for what it returns": not self.output and not nothing,
            "has per_page but returns no QuerySet or Listing": self.per_page and not lists,
            "returns a list but has no per_page": lists and not self.per_page,
            "has existing_status but returns no pair": self.existing_status and not pair,
            "returns a pair but has no existing_status": pair and not self.existing_status,
        }
        return [sentence for sentence, is_so in wrong.items() if is_so]


def created_in(status: int, data: Mapping[str, Any] | None) -> str:
    """Return the id of what a request has created, for its line in the log; nothing if it created
    nothing that has an id."""
    return str((data or {}).get("id", "")) if status == 201 else ""
