"""OpenAPI: the envelope of every response, and the refusals that each operation can give."""

from collections.abc import Iterator, Sequence
from inspect import getdoc
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from apps.core import errors
from apps.core.examples import Schema
from apps.core.http.endpoints import CHANGES, Access, Endpoint
from apps.core.http.idempotency import IdempotencyKeyReused, StillRunning, TooManyKeys
from apps.core.http.recorded import recorded_examples
from apps.core.http.schema_parts import (
    DEFAULT,
    ERROR,
    ETAG,
    FIELD_ERROR,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    MESSAGE,
    META,
    OTHERS,
    PAGE,
    RESPONSES,
    error_code,
    refused,
    register,
)


class EnvelopeSchema(AutoSchema):
    """Describes whole responses, while endpoints declare only the shape of their data."""

    view: Any

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> Any:
        """Return the operation with the refusals that it can give, and its examples."""
        self._register_common(registry)
        operation = super().get_operation(path, path_regex, path_prefix, method, registry)
        if operation is None:
            return None
        if "requestBody" in operation:
            # A body is required even if all of its fields are optional, since it needs one of them.
            operation["requestBody"]["required"] = True
        if self._endpoint.access is Access.CREDENTIALS:
            # The library says that a token may be sent, and so generated clients want one.
            operation["security"] = []
        if self.method == "GET" and self._endpoint.revision:
            operation["responses"]["304"] = {"description": "The client has it already"}
        operation["responses"] |= self._refusals()
        self._add_examples(operation)
        return operation

    @property
    def _endpoint(self) -> Endpoint:
        declared: Endpoint = self.view.endpoint
        return declared

    def get_summary(self) -> str:
        """Return the first sentence about the method."""
        return self._sentences()[0]

    def get_description(self) -> str:  # type: ignore[override]
        """Return the other sentences about it."""
        return self._sentences()[1]

    def _sentences(self) -> tuple[str, str]:
        text = " ".join((getdoc(getattr(self.view, self.view.action)) or "").split())
        first, _, rest = text.partition(". ")
        return first.removesuffix("."), rest

    def get_request_serializer(self) -> Any:
        """Return the serializer of the body."""
        return self._endpoint.input

    def get_response_serializers(self) -> Any:
        """Return the serializer of each success status."""
        endpoint = self._endpoint
        shown = endpoint.output and endpoint.output(many=bool(endpoint.per_page))
        statuses = [status for status in (endpoint.existing_status, endpoint.status) if status]
        return dict.fromkeys(statuses, shown)

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Return whether the data is a list: a method named `list` may return one thing."""
        return bool(self._endpoint.per_page)

    def get_override_parameters(self) -> list[Any]:
        """Return the query, and the headers of a POST with a key or of a conditional request."""
        endpoint = self._endpoint
        parameters: list[Any] = [endpoint.query] if endpoint.query else []
        if self._keeps_answers:
            parameters.append(IDEMPOTENCY_KEY)
        if endpoint.revision:
            parameters.append(IF_MATCH if self.method in CHANGES else IF_NONE_MATCH)
        return parameters

    def get_operation_id(self) -> str:
        """Return the view's method under its resource: posts_publish."""
        basename = self.view.basename.replace("-", "_")
        return f"{basename}_{self.view.action}"

    def get_tags(self) -> list[str]:
        """Return the resource."""
        return [self.view.basename.partition("_")[0]]

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        """Return the public name of a serializer: PostOutput is shown as Post."""
        return type(serializer).__name__.removesuffix("Output")

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        description = {"description": getdoc(type(serializer))} if type(serializer).__doc__ else {}
        if serializer.variants:
            one_of = [self.resolve_serializer(one, direction).ref for one in serializer.variants]
            return {"oneOf": one_of, **description}
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)
        if not description:
            # The docstring of its base class does not describe it.
            schema.pop("description", None)
        return {**schema, **serializer.rule}

    @property
    def _keeps_answers(self) -> bool:
        return self.method == "POST" and self._endpoint.keeps_answers

    def _refusals(self) -> Schema:
        """Return the responses of refusals by status, each with the sentences that tell why."""
        by_status: dict[int, list[str]] = {}
        for kind in self._refusal_kinds():
            by_status.setdefault(kind.status, []).append(kind.message)
        responses: Schema = {}
        for status, sentences in sorted(by_status.items()):
            kind = RESPONSES[status]
            reference = register(
                self.registry, kind.__name__, refused(kind), ResolvedComponent.RESPONSE
            )
            told = list(dict.fromkeys(sentences))
            own = {} if told == [kind.message] else {"description": _listed(told)}
            responses[str(status)] = {**reference, **own}
        other = {**refused(errors.ServiceUnavailable), "description": OTHERS}
        responses["default"] = register(self.registry, DEFAULT, other, ResolvedComponent.RESPONSE)
        return responses

    def _refusal_kinds(self) -> Iterator[type[errors.DomainError]]:
        """Yield what the endpoint declares, and what follows from its declaration."""
        endpoint = self._endpoint
        if endpoint.access is not Access.CREDENTIALS:
            yield errors.Unauthorized
        if endpoint.input:
            yield errors.BadRequest
        if endpoint.input or endpoint.query:
            yield errors.Invalid
        if endpoint.revision and self.method in CHANGES:
            yield errors.PreconditionFailed
        if endpoint.limit:
            yield errors.RateLimited
        yield from endpoint.refuses
        if self._keeps_answers:
            yield from (StillRunning, IdempotencyKeyReused, TooManyKeys)

    def _add_examples(self, operation: Schema) -> None:
        """Add the request that a test has sent to the operation, and its responses."""
        recorded = recorded_examples(self.view.__class__).get(operation["operationId"])
        if recorded is None:
            return
        for parameter in operation.get("parameters", ()):
            values = recorded["request"].get(parameter["in"], {})
            if parameter["name"] in values:
                value = values[parameter["name"]]
                # A text that consists of digits was recorded as a number.
                is_text = parameter["schema"].get("type") == "string"
                parameter["example"] = str(value) if is_text else value
        if "body" in recorded["request"]:
            content = operation["requestBody"]["content"]["application/json"]
            content["example"] = recorded["request"]["body"]
        for status, body in recorded["responses"].items():
            operation["responses"][status]["content"]["application/json"]["example"] = body

    def _register_common(self, registry: ComponentRegistry) -> None:
        common = {
            "Meta": META,
            "FieldError": FIELD_ERROR,
            "Error": ERROR,
            "ErrorCode": error_code(),
        }
        for name, schema in common.items():
            register(registry, name, schema)

    def _get_response_for_code(
        self, serializer: Any, status_code: Any, *args: Any, **kwargs: Any
    ) -> Any:
        response = super()._get_response_for_code(serializer, status_code, *args, **kwargs)
        data = response.get("content", {}).get("application/json", {}).get("schema")
        described: Schema = {
            "description": self._endpoint.message,
            "content": {"application/json": {"schema": self._envelope(data)}},
        }
        if self._endpoint.revision and data:
            described["headers"] = {"ETag": ETAG}
        return described

    def _envelope(self, data: Schema | None) -> Schema:
        """Return a reference to the schema of a whole success with this data."""
        own: Schema = {} if data is None else {"data": data}
        name = "Success"
        if self._endpoint.per_page and data:
            register(self.registry, "Pagination", PAGE)
            own["pagination"] = {"$ref": "#/components/schemas/Pagination"}
            name = f"{_name_in(data['items']).removesuffix('ListItem')}Page"
        elif data:
            name = f"{_name_in(data)}Response"
        properties = {
            "success": {"type": "boolean", "const": True},
            "message": MESSAGE,
            **own,
            "meta": {"$ref": "#/components/schemas/Meta"},
        }
        envelope = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        return register(self.registry, name, envelope)


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {one}" for one in sentences) if len(sentences) > 1 else sentences[0]


def _name_in(schema: Schema) -> str:
    """Return the name of the component to which a schema refers."""
    name: str = schema["$ref"].rpartition("/")[2]
    return name
