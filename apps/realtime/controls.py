"""What processes tell each other beside frames: what to do with sockets."""

from dataclasses import astuple, dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class EndSession:
    """Close the sockets of a session."""

    session_id: UUID


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe the sockets of a user to a stream, if the database says that they may be."""

    user_id: UUID
    stream: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """Let no socket of a user be subscribed to a stream any more."""

    user_id: UUID
    stream: str


Control = EndSession | Subscribe | Revoke

_KINDS: dict[str, type[Control]] = {"end": EndSession, "subscribe": Subscribe, "revoke": Revoke}
_WORDS = {kind: word for word, kind in _KINDS.items()}


def pack(control: Control) -> list[str]:
    """Return the control as it goes to other processes."""
    return [_WORDS[type(control)], *map(str, astuple(control))]


def unpack(packed: Any) -> Control:
    """Return the control that a process has packed; raise KeyError or ValueError for another."""
    word, id_, *stream = packed
    return _KINDS[word](UUID(id_), *stream)
