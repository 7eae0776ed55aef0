"""Right requests to every route of openapi.yaml, for nasties.py to spoil."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import orjson
import yaml
from django.conf import settings

from testing.fuzz.people import PASSWORD, People, Person, new_email, newcomer

# What can be done once only, for it ends, deletes or uses something up.
SPENDING = {
    "auth_logout",
    "auth_password_change",
    "auth_refresh",
    "auth_session_end",
    "messages_destroy",
    "posts_destroy",
    "posts_publish",
}


@dataclass(frozen=True)
class Request:
    """A request, and what is odd about it."""

    what: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def but(self, what: str, **changes: Any) -> "Request":
        """Return the same with something changed."""
        return replace(self, what=what, **changes)

    def with_header(self, name: str, value: str) -> "Request":
        """Return the same with one header changed."""
        return self.but(f"{name}: {value[:50]!r}", headers={**self.headers, name: value})

    def with_query(self, query: str) -> "Request":
        """Return the same with more in its query, of which the last counts."""
        return self.but(f"?{query[:50]}", query=f"{self.query}&{query}".lstrip("&"))


class Route:
    """An operation of the schema, and right requests to it."""

    def __init__(
        self, people: People, method: str, path: str, operation: Mapping[str, Any], body: Any
    ) -> None:
        self.label = f"{method} {path}"
        self.method = method
        self.fields: list[str] = list(body.get("properties", {}))
        self.queries = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"}
        self.has_parameter = "{" in path
        self.spends = operation["operationId"] in SPENDING
        self._operation: str = operation["operationId"]
        self._path = path
        self._body: Mapping[str, Any] = body
        self._people = people

    def right(self, **fields: bytes) -> Request:
        """Return a request that will be accepted, but for the JSON of the given fields."""
        values = {name: orjson.dumps(self._value(name)) for name in self._needed(*fields)} | fields
        body = b",".join(b'"%b":%b' % (name.encode(), value) for name, value in values.items())
        headers = {**self._caller.headers, "Content-Type": "application/json"}
        query = f"userId={self._people.bob.id}" if "userId" in self.queries else ""
        return Request("right", self.method, self.path(), query, headers, b"{%b}" % body)

    def path(self, thing: str | None = None) -> str:
        """Return the path to something real, or to what is given in its stead."""
        return re.sub(r"{\w+}", lambda _: self._thing if thing is None else thing, self._path)

    def renew(self) -> None:
        """Have something else take the place of what a request has used up."""
        for spent in ("_caller", "_thing", "_message"):
            self.__dict__.pop(spent, None)

    def _needed(self, *tried: str) -> set[str]:
        needed = set(self._body.get("required", ()))
        for branch in self._body.get("oneOf", ()):
            if not tried or set(tried) & set(branch["required"]):
                return needed.union(branch["required"])
        for branch in self._body.get("anyOf", ()):
            return needed.union(branch["required"])
        return needed

    def _value(self, field: str) -> Any:
        match field:
            case "email":
                return self._caller.email if self._operation == "auth_login" else new_email()
            case "refreshToken":
                return self._thing
            case "receiverId":
                return self._people.bob.id
            case "messageIds":
                return [self._message["id"]]
            case "conversationId":
                return self._message["conversationId"]
            case "upTo":
                return 1
            case "password" | "currentPassword" | "newPassword":
                return PASSWORD
            case _:
                # A password may not be like the name of its person.
                return "Some words that may stand anywhere"

    @cached_property
    def _caller(self) -> Person:
        return newcomer(self._people.client)

    @cached_property
    def _message(self) -> Any:
        return self._people.bob.write_to(self._caller)

    @cached_property
    def _thing(self) -> str:
        caller = self._caller
        match self._operation:
            case "auth_refresh":
                login = caller.post("/auth/login", email=caller.email, password=PASSWORD)
                return str(login["refreshToken"])
            case "auth_session_end":
                return str(caller.get("/auth/sessions")[0]["id"])
            case "messages_destroy":
                return str(caller.write_to(self._people.bob)["id"])
            case "users_retrieve":
                return self._people.bob.id
            case "posts_by_slug":
                return str(caller.write_post("published")["slug"])
            case _:
                return str(caller.write_post("draft")["id"])


def routes(people: People) -> Iterator[Route]:
    """Return every operation of the schema."""
    schema = yaml.safe_load((settings.BASE_DIR / "openapi.yaml").read_text())
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
            fields = schema["components"]["schemas"].get(name, {})
            yield Route(people, method.upper(), path, operation, fields)
