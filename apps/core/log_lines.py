"""How the lines of the log look, as JSON for programs and as text for people.

JSON has everything. Text is for a terminal of 120 columns: it has the time without the year, in UTC
as everywhere, and the last twelve digits of each id, which nothing else shares.
"""

import os
import re
import socket
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

# The logger and the event of the one line of each request.
REQUEST_LOGGER, REQUEST_EVENT = "parley.request", "request"
# Which of all processes, on all machines, logged a line.
PROCESS = f"{socket.gethostname()}/{os.getpid()}"
# Of how many methods and routes the text is remembered.
REMEMBERED = 512

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-([0-9a-f]{12})\b")
_UUID_LENGTH, _TAIL = 36, slice(-12, None)
# What all lines of requests have in common.
_REQUEST_JSON = (
    f'"event":"{REQUEST_EVENT}","process":{orjson.dumps(PROCESS).decode()},'
    f'"logger":"{REQUEST_LOGGER}",'
)


def request_json(
    method: str,
    route: str | None,
    path: str,
    status: int,
    ms: float,
    request_id: str,
    user_id: str,
    address: str,
    created: str,
    level: str,
    at: str,
) -> str:
    """Return the line of a request. Its parts are those of request_log.log_request(), ready to be
    shown: only the method and the route are quoted here."""
    user = f'"user_id":"{user_id}",' if user_id else ""
    client = f'"address":"{address}",' if address else ""
    where = _quoted(route) if route else f'null,"path":"{path}"'
    made = f'"created":"{created}",' if created else ""
    return (
        f'{{"method":{_quoted(method)},"route":{where},"status":{status},"ms":{ms:.1f},'
        f'"request_id":"{request_id}",{user}{client}{made}{_REQUEST_JSON}'
        f'"level":"{level}","timestamp":"{at}"}}'
    )


def request_text(
    method: str,
    route: str | None,
    path: str,
    status: int,
    ms: float,
    request_id: str,
    user_id: str,
    address: str,
    created: str,
    level: str,
    at: str,
) -> str:
    """Return the line of a request for people; see request_json()."""
    # A UUID is shown by its tail, and a client's own id whole.
    own_id = request_id[_TAIL] if len(request_id) == _UUID_LENGTH else request_id
    user = f" u={user_id[_TAIL]}" if user_id else ""
    made = f" new={created[_TAIL]}" if created else ""
    client = f" {address}" if address else ""
    return (
        f"{at[5:10]} {at[11:19]} {method.ljust(6)} {status} {ms:6.1f}ms {route or path}"
        f" r={own_id}{user}{made}{client}"
    )


def line_json(event: str, logger: str, at: str, fields: Mapping[str, Any]) -> str:
    """Return any other line."""
    own = {"process": PROCESS, "level": "info", "logger": logger, "timestamp": at}
    return orjson.dumps({**fields, "event": event, **own}).decode()


def line_text(event: str, logger: str, at: str, fields: Mapping[str, Any]) -> str:
    """Return any other line for people."""
    shown = " ".join(f"{name}={as_text(value)}" for name, value in fields.items())
    return f"{at[5:10]} {at[11:19]} [info] {event} [{logger}] {shown}"


def as_text(value: Any) -> str:
    """Return a value as it stands in a line for people. It cannot end the line, look like another
    field or change the terminal, even if a client wrote it."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return ",".join(f"{as_text(key)}#{as_text(each)}" for key, each in value.items())
    text = _UUID.sub(r"\1", str(value))
    return text if text.isprintable() and " " not in text else ascii(text)


@lru_cache(REMEMBERED)
def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
