"""asyncapi.yaml: the declared frames of the websocket, in both directions, as AsyncAPI 3.0.

In the document the server "sends" and "receives". A stream is a channel with messages of its own;
all of them go over the one channel that is a websocket.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.conf import settings

from apps.realtime.asyncapi_messages import described_messages, key_of
from apps.realtime.closing import CODES
from apps.realtime.registry import Command, commands
from apps.realtime.server_frames import RoomSignal, StreamFrame, server_frames
from apps.realtime.socket_frames import Error
from apps.realtime.streams import StreamType, stream_types

Part = dict[str, Any]

SOCKET = "socket"
SECURITY_SCHEMES: Part = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "ticket": {
        "type": "httpApiKey",
        "in": "query",
        "name": "ticket",
        "description": "From POST /api/v1/auth/ws-ticket. It opens one socket, within 30 seconds.",
    },
    "token": {
        "type": "httpApiKey",
        "in": "query",
        "name": "token",
        "description": "An access token, unless the server has WEBSOCKET_QUERY_TOKEN=false.",
    },
}


@cache
def document() -> Part:
    """Return the document of all declared frames."""
    messages, schemas = described_messages()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Parley's websocket",
            "version": settings.APP_VERSION,
            "description": "Each frame is a JSON object. docs/realtime.md says how a client loses "
            "no event, and names the limits.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": "localhost:8080",
                "protocol": "ws",
                "security": [
                    _ref("components", "securitySchemes", name) for name in SECURITY_SCHEMES
                ],
            }
        },
        "channels": {
            SOCKET: _socket(messages),
            **{prefix: _stream(kind) for prefix, kind in sorted(stream_types.items())},
        },
        "operations": _operations(messages),
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _socket(messages: Iterable[str]) -> Part:
    return {
        "address": "/ws",
        "title": "The websocket",
        "description": "All frames go over it, those of streams too. The first one is `connected`.",
        "messages": {key: _ref("components", "messages", key) for key in messages},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        "x-close-codes": {str(code): reason for code, reason in CODES.items()},
    }


def _stream(kind: StreamType) -> Part:
    parameter = {kind.of: {"description": "The id in the name of the stream."}}
    return {
        "address": kind.pattern,
        "title": f"The stream {kind.pattern}",
        "description": kind.description,
        "messages": {key: _ref("components", "messages", key) for key in _stream_messages(kind)},
        **({"parameters": parameter} if kind.of else {}),
        "x-frames": kind.frames,
    }


def _operations(messages: Iterable[str]) -> Part:
    receive = {f"receive.{kind}": _receive(kind, one) for kind, one in sorted(commands.items())}
    send = {
        f"send.{prefix}": _send(prefix, _stream_messages(kind))
        for prefix, kind in sorted(stream_types.items())
    }
    return {**receive, **send, f"send.{SOCKET}": _send(SOCKET, _socket_messages(messages))}


def _receive(kind: str, command: Command) -> Part:
    answers = [key_of(frame) for frame in command.answers] or [f"ack.{kind}"]
    return {
        "action": "receive",
        "channel": _ref("channels", SOCKET),
        "messages": _refs(SOCKET, [f"command.{kind}"]),
        "reply": {
            "channel": _ref("channels", SOCKET),
            "messages": _refs(SOCKET, [*answers, key_of(Error)]),
        },
    }


def _send(channel: str, keys: Iterable[str]) -> Part:
    return {
        "action": "send",
        "channel": _ref("channels", channel),
        "messages": _refs(channel, keys),
    }


def _stream_messages(kind: StreamType) -> list[str]:
    """Return the keys of the messages on streams of a kind."""
    return sorted(
        key_of(frame)
        for frame in server_frames.values()
        if issubclass(frame, StreamFrame) and kind in frame.stream_types()
    )


def _socket_messages(messages: Iterable[str]) -> list[str]:
    """Return the keys of the messages to single sockets, and to those inside a room."""
    in_rooms = {key_of(one) for one in server_frames.values() if issubclass(one, RoomSignal)}
    return [key for key in messages if key.startswith("frame.") or key in in_rooms]


def _refs(channel: str, keys: Iterable[str]) -> list[Part]:
    return [_ref("channels", channel, "messages", key) for key in keys]


def _ref(*path: str) -> Part:
    return {"$ref": "/".join(("#", *path))}
