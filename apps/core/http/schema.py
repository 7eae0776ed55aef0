"""OpenAPI: the envelope of every answer, and the refusals that every route can give."""

from typing import Any

from drf_spectacular.hooks import postprocess_schema_enums
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.utils import OpenApiParameter

from apps.core.features import enums
from apps.core.http.endpoints import CHANGES, Endpoint

REFUSALS = {
    400: ("BadRequest", "The body or query cannot be parsed, or the object's state forbids it"),
    401: ("Unauthorized", "No, bad, expired or revoked credentials"),
    403: ("Forbidden", "Not allowed"),
    404: ("NotFound", "Not there, or not for the caller to see"),
    405: ("MethodNotAllowed", "The route has no such method"),
    406: ("NotAcceptable", "Only application/json can be returned"),
    409: ("Conflict", "A duplicate, a stale version, or a request that is still running"),
    412: ("PreconditionFailed", "The If-Match header is stale"),
    413: ("PayloadTooLarge", "The body is over the limit"),
    415: ("UnsupportedMediaType", "The body is not application/json"),
    422: ("ValidationError", "Some fields are not valid; all of them are listed"),
    429: ("RateLimited", "Too many requests"),
    500: ("InternalError", "Internal server error"),
    503: ("ServiceUnavailable", "A dependency is down"),
}

META = {
    "type": "object",
    "properties": {
        "requestId": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "path": {"type": "string"},
        "method": {"type": "string"},
        "version": {"type": "string"},
        "durationMs": {"type": "number"},
    },
    "required": ["requestId", "timestamp", "path", "method", "version", "durationMs"],
    "additionalProperties": False,
}
FIELD_ERROR = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("field", "message", "code")},
    "required": ["field", "message", "code"],
    "additionalProperties": False,
}
ERROR = {
    "type": "object",
    "properties": {
        "success": {"type": "boolean", "enum": [False]},
        "message": {"type": "string"},
        "code": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
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
COMPONENTS = {"Meta": META, "FieldError": FIELD_ERROR, "Error": ERROR, "Pagination": PAGE}

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="A repeated request with the same key gets the first one's answer.",
)
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag that the change is made to."
)


def name_enums(result: Any, generator: Any, **more: Any) -> Any:
    """Return the schema with the choices of model fields named as the features name them. The
    library looks for the names in its settings, which are read before the features are known."""
    spectacular_settings.apply_patches({"ENUM_NAME_OVERRIDES": enums()})
    return postprocess_schema_enums(result, generator, **more)


class EnvelopeSchema(AutoSchema):
    """Describes whole answers, while endpoints declare only the shape of their data."""

    view: Any

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> Any:
        """Return the operation with the refusals that it can give."""
        for name, schema in COMPONENTS.items():
            registry.register_on_missing(
                ResolvedComponent(name, ResolvedComponent.SCHEMA, schema, object=name)
            )
        operation = super().get_operation(path, path_regex, path_prefix, method, registry)
        if operation is None:
            return None
        if "requestBody" in operation:
            # A body is required even if all of its fields are optional, since it needs one of them.
            operation["requestBody"]["required"] = True
        for status in self._refusals():
            name, description = REFUSALS[status]
            content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
            refusal = ResolvedComponent(
                name,
                ResolvedComponent.RESPONSE,
                {"description": description, "content": content},
                object=name,
            )
            registry.register_on_missing(refusal)
            operation["responses"].setdefault(str(status), refusal.ref)
        if self.method == "GET" and self._endpoint.revision:
            operation["responses"].setdefault("304", {"description": "The client has it already"})
        return operation

    @property
    def _endpoint(self) -> Endpoint:
        declared: Endpoint = self.view.endpoint
        return declared

    def get_request_serializer(self) -> Any:
        """Return the serializer of the body."""
        return self._endpoint.input

    def get_response_serializers(self) -> Any:
        """Return the serializer of each success status."""
        endpoint = self._endpoint
        shown = endpoint.output and endpoint.output(many=bool(endpoint.per_page))
        statuses = [status for status in (endpoint.existing_status, endpoint.status) if status]
        return dict.fromkeys(statuses, shown)

    def get_override_parameters(self) -> list[Any]:
        """Return the query, and the headers of a POST with a key or of a conditional change."""
        endpoint = self._endpoint
        parameters: list[Any] = [endpoint.query] if endpoint.query else []
        if self.method == "POST" and endpoint.keeps_answers:
            parameters.append(IDEMPOTENCY_KEY)
        if self.method in CHANGES and endpoint.revision:
            parameters.append(IF_MATCH)
        return parameters

    def get_operation_id(self) -> str:
        """Return the view's method under its resource: posts_publish."""
        basename = self.view.basename.replace("-", "_")
        return f"{basename}_{self.view.action}"

    def get_tags(self) -> list[str]:
        """Return the resource."""
        return [self.view.basename]

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        """Return the public name of a serializer: PostOutput is shown as Post."""
        return type(serializer).__name__.removesuffix("Output")

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)
        if not type(serializer).__doc__:
            # The docstring of its base class does not describe it.
            schema.pop("description", None)
        return {**schema, **getattr(serializer, "rule", {})}

    def _refusals(self) -> list[int]:
        statuses = [400, 401, 403, 404, 405, 406, 409, 422, 429, 500, 503]
        if self.method in {"POST", "PUT", "PATCH", "DELETE"}:
            statuses += [412, 413, 415]
        return sorted(statuses)

    def _get_response_for_code(
        self, serializer: Any, status_code: Any, *args: Any, **kwargs: Any
    ) -> Any:
        response = super()._get_response_for_code(serializer, status_code, *args, **kwargs)
        content = response.get("content", {}).get("application/json", {}).get("schema")
        properties: dict[str, Any] = {
            "success": {"type": "boolean", "enum": [True]},
            "message": {"type": "string"},
        }
        if content is not None:
            properties["data"] = content
        if self._endpoint.per_page:
            properties["pagination"] = {"$ref": "#/components/schemas/Pagination"}
        properties["meta"] = {"$ref": "#/components/schemas/Meta"}
        envelope = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        return {**response, "content": {"application/json": {"schema": envelope}}}
