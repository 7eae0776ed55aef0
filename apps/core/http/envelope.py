"""The common shape of all answers: success, message, data or errors, and meta."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response

from apps.core.errors import DomainError


def answer(
    message: str,
    data: Any = None,
    *,
    pagination: Mapping[str, Any] | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a success. `data` is left out if it is None, as for a delete."""
    body: dict[str, Any] = {"success": True, "message": message}
    if data is not None:
        body["data"] = data
    if pagination is not None:
        body["pagination"] = pagination
    return Response(body, status=status, headers=dict(headers or {}))


def refusal(error: DomainError) -> Response:
    """Return a refusal from a view."""
    return Response({"success": False, **error.as_dict()}, error.status, headers=error.headers)


def bare_refusal(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Return a refusal from outside of a view: from a middleware, or for an unknown route."""
    body = {"success": False, **error.as_dict(), "meta": meta(request)}
    return HttpResponse(dumps(body), "application/json", error.status, headers=error.headers)


def meta(request: HttpRequest) -> dict[str, Any]:
    """Return the part of an answer that describes its request."""
    arrived = getattr(request, "arrived", time.time())
    return meta_of(getattr(request, "id", ""), request.path, str(request.method), arrived)


def meta_of(request_id: str, path: str, method: str, arrived: float) -> dict[str, Any]:
    """Return the part of an answer that describes a request, which arrived at this time.time()."""
    return {
        "requestId": request_id,
        "timestamp": timestamp(),
        "path": path,
        "method": method,
        "version": settings.APP_VERSION,
        "durationMs": round((time.time() - arrived) * 1000, 1),
    }


def rfc3339(moment: datetime) -> str:
    """Return a UTC time as it is written on the wire."""
    return moment.isoformat().replace("+00:00", "Z")


def timestamp() -> str:
    """Return the present time as it is written on the wire, to the microsecond."""
    microseconds = time.time_ns() // 1000
    second = microseconds // 1_000_000
    return f"{_second_text(second)}.{microseconds - second * 1_000_000:06}Z"


@lru_cache(2)
def _second_text(second: int) -> str:
    """Return a second since the epoch as text. A busy server asks for each a thousand times."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def dumps(value: Any) -> bytes:
    """Return the value as JSON. Times are in RFC 3339, in UTC with Z. Values of other types, such
    as lazy strings, become their str()."""
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value as JSON has it: ids and times as text."""
    found: dict[str, Any] = orjson.loads(dumps(value))
    return found


class EnvelopeRenderer(BaseRenderer):
    """Completes `meta` in the body of an answer and renders it with orjson."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the bytes of the answer; none if it has no body."""
        if data is None:
            return b""
        request = (renderer_context or {})["request"]._request
        return dumps({**data, "meta": {**meta(request), **data.get("meta", {})}})
