"""static/parley/frames.d.ts: the declared frames as types of TypeScript, for realtime.js next
to it and for editors."""

from collections.abc import Iterable, Mapping
from typing import Any

Part = Mapping[str, Any]

HEAD = """\
// What goes over Parley's websocket, as the server declares it. `make asyncapi` writes this file.
"""
# The types that have the same name in TypeScript, or another one.
SIMPLE = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
    "object": "object",
}
# What each interface says of the messages whose keys begin with a word.
GROUPS = {
    "command": ("Commands", "What a client sends: the data of each type."),
    "event": ("Events", "Events, which are numbered within their streams."),
    "signal": ("Signals", "Signals, which are true for the moment."),
    "frame": ("SocketFrames", "Frames about the connection and its streams."),
}


def frame_types(document: Part) -> str:
    """Return the types of all frames that an AsyncAPI document of ours describes."""
    components = document["components"]
    messages = components["messages"]
    groups = [
        _interface(
            name,
            {
                key.partition(".")[2]: _data(message)
                for key, message in messages.items()
                if key.startswith(f"{prefix}.")
            },
            about,
        )
        for prefix, (name, about) in GROUPS.items()
    ]
    answers = _interface("Answers", dict(_answers(document)), "What answers each command.")
    schemas = [_declaration(name, schema) for name, schema in components["schemas"].items()]
    return "\n".join([HEAD, *groups, answers, *schemas])


def _answers(document: Part) -> Iterable[tuple[str, str]]:
    messages = document["components"]["messages"]
    for operation in document["operations"].values():
        if "reply" not in operation:
            continue
        [command] = [_key(one).partition(".")[2] for one in operation["messages"]]
        keys = [_key(one) for one in operation["reply"]["messages"]]
        yield command, " | ".join(_data(messages[key]) for key in keys if key != "frame.error")


def _key(reference: Part) -> str:
    """Return the key of the message that a reference names."""
    key: str = reference["$ref"].rpartition("/")[2]
    return key


def _data(message: Part) -> str:
    return _type(message["payload"]["properties"]["data"])


def _declaration(name: str, schema: Part) -> str:
    if "properties" in schema:
        required = schema.get("required", ())
        members = {
            field if field in required else f"{field}?": _type(described)
            for field, described in schema["properties"].items()
        }
        return _interface(name, members)
    return f"export type {name} = {_type(schema)};\n"


def _interface(name: str, members: Mapping[str, str], about: str = "") -> str:
    comment = [f"/** {about} */"] if about else []
    fields = [f"  {member}: {kind};" for member, kind in members.items()]
    return "\n".join([*comment, f"export interface {name} {{", *fields, "}", ""])


def _type(schema: Part) -> str:
    """Return a schema as a type."""
    if "$ref" in schema:
        return _key(schema)
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"])
    for choice in ("oneOf", "anyOf"):
        if choice in schema and "properties" not in schema:
            return " | ".join(map(_type, schema[choice]))
    if schema.get("type") == "array":
        return f"Array<{_type(schema['items'])}>"
    if "additionalProperties" in schema:
        return f"Record<string, {_type(schema['additionalProperties'])}>"
    if "type" not in schema:
        return "unknown"
    kinds = schema["type"]
    return " | ".join(SIMPLE[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))
