"""The frames of the websocket: the types that the client knows, and how frames are parsed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# The server closes the socket of a client that sends a larger frame.
FRAME_BYTES = 64 * 1024


class Command(StrEnum):
    """What the client sends."""

    PING = "ping"
    SUBSCRIBE = "subscribe"
    CHAT_MESSAGE = "chat_message"


class Received(StrEnum):
    """What the client receives and handles itself. All else goes to the application."""

    CONNECTED = "connected"
    HEARTBEAT = "heartbeat"
    PONG = "pong"
    ACK = "ack"
    ERROR = "error"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    RESET = "reset"


@dataclass(frozen=True)
class Frame:
    """A frame of the server. `seq` is None unless it is an event."""

    type: str
    data: Mapping[str, Any]
    stream: str = ""
    seq: int | None = None
    request_id: str = ""


@dataclass(frozen=True)
class Event:
    """What the application receives.

    - An event: `stream` and `seq` say which.
    - A signal, such as `typing`: `seq` is None and `stream` is empty.
    - News of a stream. After `subscribed` (the client begins to receive the stream) and `reset`
      (some events are no longer to be had) fetch the state over REST: the events after `seq`
      come next. After `unsubscribed` none come.

    `epoch` is that of the stream, and empty while it is not known. Keep `(seq, epoch)` with what
    you applied, to give it to the next client as a Position.
    """

    stream: str
    seq: int | None
    type: str
    data: Mapping[str, Any]
    epoch: str = ""


def parse(text: str | bytes) -> Frame:
    """Return the frame; raise ValueError if the text is none."""
    frame = json.loads(text)
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise ValueError("A frame is an object with a type.")
    data = frame.get("data")
    return Frame(
        type=frame["type"],
        data=data if isinstance(data, dict) else {},
        stream=str(frame.get("stream", "")),
        seq=None if frame.get("seq") is None else int(frame["seq"]),
        request_id=str(frame.get("requestId", "")),
    )


def render(kind: str, data: Mapping[str, Any], request_id: str) -> str:
    """Return a frame to the server as text; raise ValueError for what the server could not read,
    such as half of a surrogate pair: it could not even say which frame it refuses."""
    frame = {"type": kind, "data": data, "requestId": request_id}
    text = json.dumps(frame, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text.encode()
    return text
