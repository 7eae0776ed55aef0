"""Frames of the websocket (contract 7.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from apps.core.envelope import dumps


@dataclass(frozen=True, slots=True)
class Frame:
    """A rendered frame and the stream it goes to. A signal has no number."""

    stream: str
    seq: int | None
    text: str


def render(
    kind: str, data: Mapping[str, Any], *, at: datetime | None = None, **more: Any
) -> str:
    """Return one frame as text. `more` is requestId, or stream and seq."""
    moment = (at or timezone.now()).isoformat().replace("+00:00", "Z")
    return dumps({"type": kind, "data": data, "timestamp": moment, **more}).decode()


def user_stream(user_id: Any) -> str:
    """Return the name of the stream of what concerns one person."""
    return f"user.{user_id}"
