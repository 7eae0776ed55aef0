"""The messages of asyncapi.yaml: one for each command, ack, event, signal and other frame."""

from collections.abc import Container, Mapping, Sequence
from inspect import getdoc
from uuid import UUID

from apps.core.examples import EXAMPLE_ID, Schema, example_of
from apps.core.http.components import Components
from apps.realtime.registry import Command, commands
from apps.realtime.server_frames import Event, RoomSignal, ServerFrame, Signal, server_frames
from apps.realtime.socket_frames import Ack, Error
from apps.realtime.streams import StreamType

TIME: Schema = {"timestamp": {"type": "string", "format": "date-time"}}
REQUEST_ID: Schema = {"requestId": {"type": "string", "maxLength": 64}}


def described_messages() -> tuple[dict[str, Schema], dict[str, Schema]]:
    """Return the messages by their keys in the document, and the schemas that they refer to. Both
    are sorted by name, since the order of declarations depends on the order of imports."""
    components = Components()
    messages = {
        **{f"command.{kind}": _command(kind, one, components) for kind, one in commands.items()},
        **{
            f"ack.{kind}": _message(
                Ack.type,
                f"The answer to `{kind}`.",
                components.refer(one.ack, "response"),
                {**TIME, **REQUEST_ID},
            )
            for kind, one in commands.items()
            if one.ack is not None
        },
        **{
            key_of(frame): _server_frame(frame, components)
            for frame in server_frames.values()
            # Acks are described for each command, above.
            if frame is not Ack
        },
    }
    schemas = components.schemas()
    for message in messages.values():
        message["examples"] = [{"payload": example_of(message["payload"], schemas)}]
    return dict(sorted(messages.items())), dict(sorted(schemas.items()))


def key_of(frame: type[ServerFrame]) -> str:
    """Return the key of a frame's message in the document. Some types are both a command and a
    frame."""
    if issubclass(frame, Event):
        return f"event.{frame.type}"
    is_signal = issubclass(frame, Signal | RoomSignal)
    return f"signal.{frame.type}" if is_signal else f"frame.{frame.type}"


def _command(kind: str, command: Command, components: Components) -> Schema:
    data = components.refer(command.input, "request")
    needed = any(field.required for field in command.input().fields.values())
    optional = [] if needed or command.input.rule else ["data"]
    return _message(
        kind, _sentences(command.handler), data, REQUEST_ID, optional=["requestId", *optional]
    )


def _server_frame(frame: type[ServerFrame], components: Components) -> Schema:
    data = components.refer(frame.payload, "response")
    extra = dict(TIME)
    if issubclass(frame, Event):
        extra |= {
            "stream": _stream_name(frame.stream_types()),
            "seq": {
                "type": "integer",
                "minimum": 1,
                "description": "The number of the event in the stream.",
            },
        }
    elif frame is Error or any(frame in command.answers for command in commands.values()):
        extra |= REQUEST_ID
    message = _message(frame.type, _sentences(frame), data, extra)
    return {**message, "x-payload-version": frame.payload_version}


def _stream_name(kinds: Sequence[StreamType]) -> Schema:
    examples = [kind.name(UUID(EXAMPLE_ID) if kind.of else None) for kind in kinds]
    pattern = "|".join(kind.regex for kind in kinds)
    return {"type": "string", "pattern": pattern, "examples": examples}


def _message(
    name: str,
    summary: str,
    data: Schema,
    extra: Mapping[str, Schema],
    optional: Container[str] = ("requestId",),
) -> Schema:
    properties = {"type": {"type": "string", "const": name}, "data": data, **extra}
    required = [one for one in properties if one not in optional]
    payload = {"type": "object", "properties": properties, "required": required}
    return {"name": name, "summary": summary, "payload": payload}


def _sentences(documented: object) -> str:
    """Return the docstring in one line."""
    return " ".join((getdoc(documented) or "").split())
