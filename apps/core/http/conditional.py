"""ETag, If-None-Match and If-Match (RFC 9110, 13)."""

import hashlib
from collections.abc import Mapping
from typing import Any

from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import PreconditionFailed
from apps.core.http.envelope import answer, dumps


def conditional_answer(
    request: Request, message: str, data: Mapping[str, Any], revision: str
) -> Response:
    """Return one object with its ETag, or 304 if the client has exactly these bytes.

    The tag is `"revision.hash"`. The revision changes with edits, and If-Match compares it. The
    hash changes with everything in the answer, such as the number of views.
    """
    etag = etag_of(dumps(data), revision)
    known = names_etag(request.headers.get("If-None-Match", ""), etag)
    if known and request.method in {"GET", "HEAD"}:
        return Response(status=304, headers={"ETag": etag})
    return answer(message, data, headers={"ETag": etag})


def etag_of(data: bytes, revision: str) -> str:
    """Return the ETag of an object, given its JSON."""
    return f'"{revision}.{hashlib.sha256(data).hexdigest()[:16]}"'


def names_etag(if_none_match: str, etag: str) -> bool:
    """Return whether an If-None-Match header names the ETag, so that the client has the object."""
    tags = parse_etags(if_none_match)
    return tags == ["*"] or etag in {tag.removeprefix("W/") for tag in tags}


def require_match(if_match: str, revision: str) -> None:
    """Raise PreconditionFailed unless the If-Match header is absent, `*` or names the revision.

    The service that changes the row calls it under the row's lock. Django's
    get_conditional_response() compares whole tags, and its parse_etags() skips a tag without
    quotes, so that nothing would be left to refuse.
    """
    tags = [tag.strip() for tag in if_match.split(",") if tag.strip()]
    if tags and not any(tag == "*" or tag.strip('"').split(".")[0] == revision for tag in tags):
        raise PreconditionFailed
