"""The parts of the OpenAPI document that operations share: envelopes, refusals, headers."""

from collections.abc import Iterator
from importlib import import_module

from django.apps import apps
from django.utils.module_loading import module_has_submodule
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent
from drf_spectacular.utils import OpenApiParameter

from apps.core import errors
from apps.core.examples import EXAMPLE_META, Schema

# The responses to which operations refer, by status.
RESPONSES: dict[int, type[errors.DomainError]] = {
    kind.status: kind
    for kind in (
        errors.BadRequest,
        errors.Unauthorized,
        errors.Forbidden,
        errors.NotFound,
        errors.Conflict,
        errors.PreconditionFailed,
        errors.Invalid,
        errors.RateLimited,
    )
}
DEFAULT, OTHERS = "Refusal", "A refusal that every operation can give; see the top of this document"


def error_codes() -> list[str]:
    """Return the codes of all refusals of all apps, sorted."""
    for config in apps.get_app_configs():
        if module_has_submodule(config.module, "errors"):
            import_module(f"{config.name}.errors")
    return sorted({kind.code for kind in _with_subclasses(errors.DomainError)})


def _with_subclasses(kind: type[errors.DomainError]) -> Iterator[type[errors.DomainError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _with_subclasses(child)


META = {
    "type": "object",
    "description": "About the request.",
    "properties": {
        "requestId": {"type": "string", "description": "Finds the request in the server's log."},
        "timestamp": {"type": "string", "format": "date-time"},
        "path": {"type": "string"},
        "method": {"type": "string"},
        "version": {"type": "string", "description": "The version of the server."},
        "durationMs": {"type": "number"},
        "streams": {
            "type": "object",
            "description": "The streams whose events change what is shown, each with the number of "
            "the last event that is in it. Subscribe after these numbers to keep it up to date.",
            "additionalProperties": {"type": "integer", "minimum": 0},
        },
    },
    "required": ["requestId", "timestamp", "path", "method", "version", "durationMs"],
    "additionalProperties": False,
}
FIELD_ERROR = {
    "type": "object",
    "description": "A wrong field.",
    "properties": {
        "field": {"type": "string", "description": "Its path, such as items.3.title."},
        "message": {"type": "string", "description": "A sentence for people."},
        "code": {"type": "string", "description": "The rule that it breaks."},
    },
    "required": ["field", "message", "code"],
    "additionalProperties": False,
}
MESSAGE = {"type": "string", "description": "A sentence for people; its wording may change."}
ERROR = {
    "type": "object",
    "description": "A refusal.",
    "properties": {
        "success": {"type": "boolean", "const": False},
        "message": MESSAGE,
        "code": {"$ref": "#/components/schemas/ErrorCode"},
        "errors": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/FieldError"},
            "description": "Every wrong field, with 422.",
        },
        "meta": {"$ref": "#/components/schemas/Meta"},
    },
    "required": ["success", "message", "code", "meta"],
    "additionalProperties": False,
}
_COUNT = {"type": "integer", "minimum": 0}
_CURSOR = {"type": ["string", "null"]}
PAGE = {
    "type": "object",
    "description": "Of a list by page: total, page and totalPages; of one by cursor: prevCursor.",
    "properties": {
        **dict.fromkeys(("total", "page", "limit", "totalPages"), _COUNT),
        **{name: {"type": "boolean"} for name in ("hasNext", "hasPrev")},
        "nextCursor": _CURSOR,
        "prevCursor": _CURSOR,
    },
    "required": ["limit", "hasNext", "hasPrev", "nextCursor"],
    "additionalProperties": False,
}

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="A repeated request with the same key gets the first one's response.",
)
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag that the change is made to."
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag that the client has: the response is 304 while nothing changed.",
)
ETAG = {"schema": {"type": "string"}, "description": "For If-None-Match and If-Match."}


def error_code() -> Schema:
    """Return the schema of the codes, which both interfaces share."""
    return {
        "type": "string",
        "enum": error_codes(),
        "description": "Programs compare this. Later releases may add codes.",
    }


def refused(kind: type[errors.DomainError]) -> Schema:
    """Return a refusal as a response that shows it as an example."""
    example = {"success": False, "message": kind.message, "code": kind.code, "meta": EXAMPLE_META}
    schema = {"$ref": "#/components/schemas/Error"}
    return {
        "description": kind.message,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def register(
    registry: ComponentRegistry, name: str, schema: Schema, kind: str = ResolvedComponent.SCHEMA
) -> Schema:
    """Add a component unless it is there already, and return a reference to it."""
    component = ResolvedComponent(name, kind, schema, object=name)
    registry.register_on_missing(component)
    reference: Schema = component.ref
    return reference
