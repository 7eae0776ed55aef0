"""What openapi.yaml says beyond the routes of the features: resources, /health and /ready, and the
refusals that every operation can give."""

from inspect import getdoc
from typing import Any

from apps.core.errors import EVERYWHERE
from apps.core.examples import EXAMPLE_TIME, Schema
from apps.core.features import routes

SERVER = "server"
TIME: Schema = {"type": "string", "format": "date-time"}


def _text(*values: str) -> Schema:
    return {"type": "string", **({"enum": list(values)} if values else {})}


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


SCHEMAS = {
    "Health": _object(
        status=_text("ok"),
        version=_text(),
        time=TIME,
        database=_text("healthy", "unhealthy"),
        redis=_text("healthy", "unhealthy", "embedded"),
        websocket=_object(users={"type": "integer"}, connections={"type": "integer"}),
    ),
    "Readiness": _object(
        status=_text("ready", "not_ready"),
        database=_text("connected", "disconnected"),
        redis=_text("connected", "disconnected", "embedded"),
        migrations=_text("applied", "pending"),
        time=TIME,
    ),
}
HEALTH = {
    "status": "ok",
    "version": "0.1.0",
    "time": EXAMPLE_TIME,
    "database": "healthy",
    "redis": "embedded",
    "websocket": {"users": 2, "connections": 3},
}
READY = {
    "status": "ready",
    "database": "connected",
    "redis": "embedded",
    "migrations": "applied",
    "time": EXAMPLE_TIME,
}
NOT_READY = READY | {"status": "not_ready", "migrations": "pending"}


def complete(result: Any, generator: Any, **more: Any) -> Any:
    """Return the schema of the routes with all that belongs to no route."""
    result["info"]["description"] = "\n\n".join([result["info"]["description"], *_introduction()])
    result["tags"] = [
        *({"name": name, "description": getdoc(view)} for name, view in routes().items()),
        {"name": SERVER, "description": "The state of the server, without the envelope."},
    ]
    result["paths"] |= {
        "/health": {
            "get": _operation(
                "health",
                "Return 200 while the process lives, and the state of its dependencies",
                {"200": _response("The process lives", "Health", HEALTH)},
            )
        },
        "/ready": {
            "get": _operation(
                "ready",
                "Return whether the process should get traffic",
                {
                    "200": _response("It should", "Readiness", READY),
                    "503": _response("It should not", "Readiness", NOT_READY),
                },
            )
        },
    }
    result["components"]["schemas"] = dict(
        sorted({**result["components"]["schemas"], **SCHEMAS}.items())
    )
    return result


def _introduction() -> list[str]:
    general = [f"- {kind.status} `{kind.code}`: {kind.message}." for kind in EVERYWHERE]
    return [
        "The websocket carries what happens, live: [its page](/docs/realtime), and "
        "[asyncapi.yaml](/docs/asyncapi.yaml) for programs. `POST /api/v1/auth/ws-ticket` gives a "
        "ticket that opens one.",
        "A success has `success: true`, a refusal `success: false` and a `code`. Each operation "
        "lists the refusals of its own. Every operation below /api can also give these:",
        "\n".join(general).replace("..", "."),
    ]


def _operation(name: str, summary: str, responses: Schema) -> Schema:
    return {
        "operationId": name,
        "summary": summary,
        "tags": [SERVER],
        "security": [],
        "responses": responses,
    }


def _response(description: str, schema: str, example: Schema) -> Schema:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    return {"description": description, "content": {"application/json": content}}
