"""Frames of the websocket, as text or bytes, and how processes send them to each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from apps.core.http.envelope import dumps, timestamp


@dataclass(frozen=True, slots=True)
class Frame:
    """A rendered frame, of text or of bytes, and the stream it goes to.

    An event names its subject in `about`, for the log. A signal has no `seq`. One that replaces
    earlier signals about the same thing names that thing in `about`, and has the larger `version`.
    """

    stream: str
    seq: int | None
    content: str | bytes
    about: str = ""
    version: int = 0

    def packed(self) -> tuple[str, int | None, str | bytes, str, int]:
        """Return the frame as it goes to other processes, where Frame(*packed) unpacks it."""
        return self.stream, self.seq, self.content, self.about, self.version


class Wakeup(TypedDict):
    """What a process sends to the others: frames and controls, packed."""

    frames: list[Any]
    controls: list[Any]


def sending(content: str | bytes) -> dict[str, Any]:
    """Return the message by which an ASGI application sends one frame."""
    if type(content) is str:
        return {"type": "websocket.send", "text": content}
    return {"type": "websocket.send", "bytes": content}


def render(
    kind: str,
    data: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
    *,
    at: str = "",
) -> str:
    """Return one frame as text. `extra` is its requestId, or its stream and seq; `at` is its time
    as it is written, if that is not the present time."""
    return dumps(
        {"type": kind, "data": data, "timestamp": at or timestamp(), **(extra or {})}
    ).decode()
