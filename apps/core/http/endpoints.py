"""One declaration per endpoint, from which everything but its domain call follows.

A method of a viewset takes the request, what its path names and the validated data, makes one
domain call and returns what that returns. Who may call it and how often, parsing, paging,
conditional requests, rendering and OpenAPI follow from the declaration above it. A declaration that
contradicts itself or its method is an error at import; one that does not fit its route is an error
of `manage.py check` (endpoint_checks.py).
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import partial, wraps
from typing import Any, Protocol, cast, get_args, get_origin

from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.http.conditional import conditional_answer
from apps.core.http.envelope import answer
from apps.core.http.idempotency import Finish
from apps.core.http.pagination import Listing, ListQuery, paginate
from apps.core.serializers import CamelSerializer

# The methods that may carry If-Match, where the endpoint has a revision.
CHANGES = {"PUT", "PATCH", "DELETE"}
# What says which page of a list is meant.
PAGING = frozenset(ListQuery._declared_fields)

Method = Callable[..., Any]


class Access(IntEnum):
    """Who may call an endpoint. Of two the greater lets in fewer."""

    # Everybody: the body holds the credentials, and a token that is sent along is not looked at.
    CREDENTIALS = 0
    # Everybody; who sends a token is known by it.
    ANYONE = 1
    # Users only.
    USERS = 2


class Handler(Protocol):
    """A method as the router calls it, with its declaration."""

    endpoint: "Endpoint"
    # Parses the request and does what is slow; returns the rest.
    prepare: Callable[..., Finish]

    def __call__(self, view: Any, request: Request, **path: Any) -> Response:
        """Return the answer to a request."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The declaration, which decorates the method."""

    # The sentence and the status of a success.
    message: str
    status: int = 200
    # The status when nothing new was made. The method then returns the thing and whether it is new.
    existing_status: int | None = None
    # What is read of the body and of the query, and passed to the method by name.
    input: type[CamelSerializer] | None = None
    query: type[CamelSerializer] | None = None
    # How that which the method returns is shown; None for an answer without data.
    output: type[CamelSerializer] | None = None
    # How many rows of a list are shown to who does not say. The query is then a ListQuery, whose
    # own fields the method is not given: it returns the whole list.
    per_page: int | None = None
    access: Access = Access.USERS
    # The name of the action that is counted, for the user or else the network, before all else.
    limit: str | None = None
    # The attribute that says how often a thing was changed. It makes the ETag of one that is shown,
    # and a change is given `if_match`, the client's If-Match or "".
    revision: str | None = None
    # Whether the answer holds what nobody may keep, such as a token (RFC 6749, 5.1).
    secret: bool = False
    # Whether a password is hashed, which is done in threads of their own.
    hashes: bool = False

    @property
    def keeps_answers(self) -> bool:
        """Return whether the answer to a POST is kept under its Idempotency-Key: not what holds a
        secret, and only for a user."""
        return self.access is Access.USERS and not (self.secret and self.output)

    @property
    def in_two_steps(self) -> bool:
        """Return whether the method does something slow and returns a function for the rest.

        Under an Idempotency-Key the rest runs in the transaction that holds the key's lock, and
        nobody should wait for a hash who waits for a lock. Without a token no key is kept.
        """
        return self.hashes and self.access is not Access.CREDENTIALS

    def __call__(self, method: Method) -> Handler:
        """Return the handler of a method; raise ImproperlyConfigured if they contradict."""
        problems = [*self._contradictions(), *self._contradictions_to(method)]
        if problems:
            raise ImproperlyConfigured(f"{method.__qualname__} {', and it '.join(problems)}.")

        def prepare(view: Any, request: Request, **path: Any) -> Finish:
            given, query = self._read(request)
            call = partial(method, view, request, **path, **given)
            finish = call() if self.in_two_steps else call
            return lambda: self._answer(request, finish(), query)

        @wraps(method)
        def handler(view: Any, request: Request, **path: Any) -> Response:
            return prepare(view, request, **path)()

        declared = cast("Handler", handler)
        declared.endpoint, declared.prepare = self, prepare
        return declared

    def _read(self, request: Request) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Return what the method is given, and the whole query; raise ValidationError."""
        query = self.query.load(request.query_params.dict()) if self.query else {}
        given = self.input.load(request.data) if self.input else {}
        given |= {name: value for name, value in query.items() if name not in PAGING}
        if self.revision and request.method in CHANGES:
            given["if_match"] = request.headers.get("If-Match", "")
        return given, query

    def _answer(self, request: Request, result: Any, query: Mapping[str, Any]) -> Response:
        if self.output is None:
            return answer(self.message, status=self.status)
        if self.per_page:
            listing = result if isinstance(result, Listing) else Listing(result)
            page = paginate(listing.rows, query, self.per_page)
            shown = self.output.dump_all(listing.shown(page.rows))
            return answer(self.message, shown, pagination=page.pagination, status=self.status)
        if self.revision:
            revision = str(getattr(result, self.revision))
            return conditional_answer(request, self.message, self.output.dump(result), revision)
        status = self.status
        if self.existing_status:
            result, is_new = result
            status = self.status if is_new else self.existing_status
        return answer(self.message, self.output.dump(result), status=status)

    def _contradictions(self) -> list[str]:
        """Return what is wrong in itself."""
        lists = self.query is not None and issubclass(self.query, ListQuery)
        statuses = {self.status, self.existing_status or self.status}
        wrong = {
            "takes a page or a cursor and does not say per_page": lists and not self.per_page,
            "says per_page and its query is no ListQuery": self.per_page and not lists,
            "says per_page and has no output": self.per_page and self.output is None,
            "says per_page and revision": self.per_page and self.revision,
            "says per_page and existing_status": self.per_page and self.existing_status,
            "says revision and existing_status": self.revision and self.existing_status,
            "says revision and a status other than 200": self.revision and self.status != 200,
            "says revision and is secret": self.revision and self.secret,
            "has a status of refusals, which are raised": not statuses <= set(range(200, 300)),
        }
        return [sentence for sentence, is_so in wrong.items() if is_so]

    def _contradictions_to(self, method: Method) -> list[str]:
        """Return what does not fit that which the method says it returns."""
        returned = inspect.signature(method).return_annotation
        if returned is inspect.Signature.empty:
            return ["does not say what it returns"]
        two_steps = get_origin(returned) is Callable
        if two_steps:
            returned = get_args(returned)[-1]
        nothing = returned in {None, type(None)}
        lists = returned is QuerySet or get_origin(returned) is Listing
        pair = get_origin(returned) is tuple
        wrong = {
            "hashes under a key and returns no function": self.in_two_steps and not two_steps,
            "returns a function and does not hash under a key": two_steps and not self.in_two_steps,
            "has an output and returns nothing": self.output and nothing,
            "has no output for what it returns": not self.output and not nothing,
            "says per_page and returns no QuerySet or Listing": self.per_page and not lists,
            "returns a list and does not say per_page": lists and not self.per_page,
            "says existing_status and not whether it is new": self.existing_status and not pair,
            "says whether it is new and no existing_status": pair and not self.existing_status,
        }
        return [sentence for sentence, is_so in wrong.items() if is_so]
