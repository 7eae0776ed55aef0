"""Responses over HTTP, and why there are none."""

from collections.abc import Awaitable, Mapping
from typing import Any

import httpx

from parley_client.errors import ConnectionLost, refusal

# For how long a server, or a proxy before it, may ask to be left alone.
PATIENCE_SECONDS = 3600.0


async def answered(request: Awaitable[httpx.Response]) -> dict[str, Any]:
    """Return the body of the response to a request if it is a success; raise Refused with what the
    server says, or ConnectionLost if nothing says what became of the request."""
    try:
        answer = await request
    except httpx.TransportError as error:
        raise ConnectionLost(f"{type(error).__name__}: {error}") from error
    body = _body(answer)
    if answer.is_success and body.get("success"):
        return body
    retry_after = retry_after_of(answer.headers)
    refused = refusal(body, retry_after)
    if refused.code:
        raise refused
    # A proxy between the client and the server says something of its own, or a network asks its
    # users to log in by a page.
    raise ConnectionLost(f"HTTP {answer.status_code}", retry_after=retry_after)


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Return after how many seconds the server wants the request again, if it says so, and
    PATIENCE_SECONDS at most."""
    value = headers.get("Retry-After", "")
    return min(float(value), PATIENCE_SECONDS) if value.isdecimal() else None


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
