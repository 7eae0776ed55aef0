"""Example values for JSON schemas."""

from typing import Any

Schema = dict[str, Any]

EXAMPLE_ID = "01930e1c-7f6a-7b3e-9c1d-2f5a8b4c6d7e"
EXAMPLE_TIME = "2026-01-31T12:00:00.000000Z"
# The `meta` of a response.
EXAMPLE_META = {
    "requestId": "01930e1c-7f6a-7b3e-9c1d-2f5a8b4c6dff",
    "timestamp": EXAMPLE_TIME,
    "path": "/api/v1/…",
    "method": "GET",
    "version": "0.1.0",
    "durationMs": 1.5,
}
# One value per kind, so that an example looks like real data.
_BY_FORMAT = {
    "uuid": EXAMPLE_ID,
    "date-time": EXAMPLE_TIME,
    "email": "alice@example.org",
}
_BY_TYPE: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "string": "…"}


def resolved(schema: Schema, schemas: dict[str, Schema]) -> Schema:
    """Return the schema with its reference replaced by what it refers to, and its alternatives by
    the first of them."""
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema and all("required" not in one for one in schema[key]):
            rest = {name: value for name, value in schema.items() if name != key}
            return {**resolved(schema[key][0], schemas), **rest}
    if "$ref" in schema:
        return resolved(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    return schema


def _excluded(schema: Schema) -> set[str]:
    """Return the properties that may not appear together with those of the first alternative."""
    first, *others = [set(one["required"]) for one in schema.get("oneOf", [{"required": []}])]
    return set().union(*others) - first


def example_of(schema: Schema, schemas: dict[str, Schema]) -> Any:
    """Return a value that matches the schema and has every property that it may have."""
    found = resolved(schema, schemas)
    if "examples" in found:
        return found["examples"][0]
    if "const" in found:
        return found["const"]
    if "enum" in found:
        return found["enum"][0]
    if "properties" in found:
        return {
            name: example_of(one, schemas)
            for name, one in found["properties"].items()
            if name not in _excluded(found)
        }
    kind = found.get("type", "object")
    kind = kind if isinstance(kind, str) else kind[0]
    if kind == "array":
        return [example_of(found["items"], schemas)] * max(1, found.get("minItems", 1))
    if kind == "object":
        inner = found.get("additionalProperties")
        return {EXAMPLE_ID: example_of(inner, schemas)} if inner else {}
    return _BY_FORMAT.get(found.get("format", ""), _BY_TYPE[kind])
