"""Valid requests to every route of openapi.yaml, which hostile.py then changes."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import orjson

from testing.api_document import api_document
from testing.fuzz.knowledge import of_all
from testing.fuzz.people import People, Person, newcomer


@dataclass(frozen=True)
class Request:
    """A request, and what is special about it."""

    what: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def but(self, what: str, **changes: Any) -> "Request":
        """Return the same request with some changes."""
        return replace(self, what=what, **changes)

    def with_header(self, name: str, value: str) -> "Request":
        """Return the same request with one header changed."""
        return self.but(f"{name}: {value[:50]!r}", headers={**self.headers, name: value})

    def with_query(self, query: str) -> "Request":
        """Return the same request with more in its query, where the last value counts."""
        return self.but(f"?{query[:50]}", query=f"{self.query}&{query}".lstrip("&"))


class Route:
    """An operation of the schema, and valid requests to it."""

    def __init__(
        self,
        people: People,
        method: str,
        path: str,
        operation: Mapping[str, Any],
        bodies: Sequence[Mapping[str, Any]],
    ) -> None:
        self.label = f"{method} {path}"
        self.method = method
        self.fields: list[str] = [name for body in bodies for name in body.get("properties", ())]
        queries = [p for p in operation.get("parameters", ()) if p["in"] == "query"]
        self.queries = {one["name"] for one in queries}
        self.has_parameter = "{" in path
        self.single_use = operation["operationId"] in of_all("single_use")
        self._made: dict[str, Any] = {}
        self._needed_queries = [one["name"] for one in queries if one.get("required")]
        self._operation: str = operation["operationId"]
        self._path = path
        # The schemas of its body, of which a request matches one.
        self._bodies = bodies
        self._people = people

    def right(self, **fields: bytes) -> Request:
        """Return a request that is valid apart from the JSON of the given fields."""
        values = {name: orjson.dumps(self._value(name)) for name in self._needed(*fields)} | fields
        body = b",".join(b'"%b":%b' % (name.encode(), value) for name, value in values.items())
        headers = {**self._caller.headers, "Content-Type": "application/json"}
        query = "&".join(f"{name}={self._value(name)}" for name in self._needed_queries)
        return Request("right", self.method, self.path(), query, headers, b"{%b}" % body)

    def path(self, thing: str | None = None) -> str:
        """Return the path to an object that exists, or to the given one."""
        return re.sub(r"{\w+}", lambda _: self._thing if thing is None else thing, self._path)

    def renew(self) -> None:
        """Replace the caller and the object, which a request has used up."""
        for used in ("_caller", "_thing"):
            self.__dict__.pop(used, None)
        self._made.clear()

    def _needed(self, *tried: str) -> set[str]:
        for body in self._bodies:
            if set(tried) <= body.get("properties", {}).keys():
                needed = set(body.get("required", ()))
                # Where no field is required, a request has one all the same.
                return needed or set(list(body.get("properties", ()))[:1])
        return set()

    def _value(self, field: str) -> Any:
        if field not in self._made:
            made = of_all("values")
            make = made.get(f"{self._operation}.{field}") or made.get(field, _some_words)
            self._made[field] = make(self._caller, self._people.bob)
        return self._made[field]

    @cached_property
    def _caller(self) -> Person:
        return newcomer(self._people.client)

    @cached_property
    def _thing(self) -> str:
        make: Callable[[Person, Person], str] = of_all("things")[self._operation]
        return make(self._caller, self._people.bob)


def _some_words(caller: Person, other: Person) -> str:
    # A password must not be similar to the name of its user.
    return "Some words that may stand anywhere"


def routes(people: People) -> Iterator[Route]:
    """Return every operation of the schema."""
    schema = api_document()
    schemas = schema["components"]["schemas"]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            # The others, /health and /ready, have no envelope.
            if path.startswith("/api/"):
                yield Route(people, method.upper(), path, operation, _bodies(operation, schemas))


def _bodies(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the schemas of an operation's body: none, one, or the variants of it."""
    if "requestBody" not in operation:
        return []
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    body = schemas[reference.rpartition("/")[2]]
    return [schemas[one["$ref"].rpartition("/")[2]] for one in body.get("oneOf", ())] or [body]
