"""The page that documents the websocket for people: what is declared, as tables."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.core.examples import Schema, resolved
from apps.realtime.asyncapi import SOCKET, document

# The page loads nothing from other servers and runs no scripts.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)

# The groups of messages in the document, and what the page calls them.
GROUPS = {
    "command": ("Commands", "What you send."),
    "ack": ("Acks", "Frames of the type ack, by the command that they answer."),
    "event": (
        "Events",
        "What happened. They are logged, and sent again to subscribers that missed one.",
    ),
    "signal": (
        "Signals",
        "What is true at the moment, for present subscribers. They are not logged.",
    ),
    "frame": (
        "Other frames",
        "Answers to you alone, and notices about your connection and streams.",
    ),
}
# The largest number that the database can hold is not shown as a bound.
UNBOUNDED = 2**63 - 1
_WORDS = {"uuid": "UUID", "date-time": "time", "email": "e-mail address"}


@dataclass(frozen=True)
class Field:
    """One row of a table: the path of a field in the data, what it holds, and its description."""

    path: str
    kind: str
    required: bool
    description: SafeString


@dataclass(frozen=True)
class Shown:
    """A message, as a section of the page shows it."""

    key: str
    name: str
    summary: SafeString
    fields: list[Field]
    example: str
    version: int | None
    streams: list[str]
    answers: list[tuple[str, str]]


def realtime_page(request: HttpRequest) -> HttpResponse:
    """Return the page."""
    response = render(request, "realtime.html", _page())
    response["Content-Security-Policy"] = POLICY
    return response


@cache
def _page() -> dict[str, Any]:
    whole = document()
    shown = [_shown(key, whole) for key in whole["components"]["messages"]]
    return {
        "version": whole["info"]["version"],
        "streams": [
            {
                **stream,
                "frames": stream["x-frames"],
                "shown": [one for one in shown if one.key in stream["messages"]],
            }
            for stream in _streams(whole)
        ],
        "groups": [
            {
                "title": title,
                "introduction": introduction,
                "shown": [one for one in shown if one.key.startswith(f"{group}.")],
            }
            for group, (title, introduction) in GROUPS.items()
        ],
        "close_codes": whole["channels"][SOCKET]["x-close-codes"],
    }


def _streams(whole: dict[str, Any]) -> list[dict[str, Any]]:
    return [channel for name, channel in whole["channels"].items() if name != SOCKET]


def _shown(key: str, whole: dict[str, Any]) -> Shown:
    message = whole["components"]["messages"][key]
    schemas = whole["components"]["schemas"]
    group, _, name = key.partition(".")
    answers = []
    if group == "command":
        reply = whole["operations"][f"receive.{name}"]["reply"]
        keys = [message["$ref"].rpartition("/")[2] for message in reply["messages"]]
        answers = [(one, whole["components"]["messages"][one]["name"]) for one in keys]
    return Shown(
        key=key,
        name=name,
        summary=_marked(message["summary"]),
        fields=list(_fields(message["payload"]["properties"]["data"], schemas)),
        example=json.dumps(message["examples"][0]["payload"], indent=2, ensure_ascii=False),
        version=message.get("x-payload-version"),
        streams=[one["address"] for one in _streams(whole) if key in one["messages"]],
        answers=answers,
    )


def _fields(schema: Schema, schemas: dict[str, Schema], path: str = "") -> Iterator[Field]:
    """Yield the fields of an object, each followed by the fields inside it."""
    outer = resolved(schema, schemas)
    for name, inner in outer.get("properties", {}).items():
        own = resolved(inner, schemas)
        place = f"{path}.{name}".lstrip(".")
        description = own.get("description", "")
        required = name in outer.get("required", [])
        yield Field(place, _kind(own, schemas), required, _marked(description))
        if "items" in own:
            yield from _fields(own["items"], schemas, f"{place}[]")
        elif "additionalProperties" in own:
            yield from _fields(own["additionalProperties"], schemas, f"{place}.*")
        else:
            yield from _fields(own, schemas, place)


def _kind(schema: Schema, schemas: dict[str, Schema]) -> str:
    """Return a phrase for the values of the schema."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    names = schema.get("type", "object")
    names = [names] if isinstance(names, str) else names
    words = " or ".join([_WORDS.get(schema.get("format", ""), names[0]), *names[1:]])
    if "items" in schema:
        return f"list of {_kind(resolved(schema['items'], schemas), schemas)}"
    if "additionalProperties" in schema:
        return f"object of {_kind(resolved(schema['additionalProperties'], schemas), schemas)}"
    return words + _bounds(schema)


def _bounds(schema: Schema) -> str:
    low = schema.get("minLength", schema.get("minimum"))
    high: int = schema.get("maxLength") or schema.get("maximum") or UNBOUNDED
    if high < UNBOUNDED:
        return f", {low or 0} to {high}"
    return "" if low is None else f", from {low}"


def _marked(text: str) -> SafeString:
    """Return a sentence as HTML, with the parts between backticks as code."""
    parts = enumerate(text.split("`"))
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", one) if odd % 2 else one,) for odd, one in parts)
    )
