"""What processes send each other besides frames: what to do with sockets, and what has changed."""

from dataclasses import astuple, dataclass
from typing import Any, cast
from uuid import UUID


@dataclass(frozen=True, slots=True)
class EndSession:
    """Close the sockets of a session."""

    session_id: UUID


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe the sockets of a user to a stream, if the user may read it by the database."""

    user_id: UUID
    stream: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """Unsubscribe the sockets of a user from a stream that the user may not read any more."""

    user_id: UUID
    stream: str


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """Take the sockets of a user out of a room, because the user may not see any more what it is
    about."""

    user_id: UUID
    room: str


@dataclass(frozen=True, slots=True)
class DropTag:
    """Drop what has the tag from the caches (core.kept)."""

    tag: str


Control = EndSession | Subscribe | Revoke | LeaveRoom | DropTag

_KINDS: dict[str, type[Control]] = {
    "end": EndSession,
    "subscribe": Subscribe,
    "revoke": Revoke,
    "leave": LeaveRoom,
    "drop": DropTag,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def pack(control: Control) -> list[str]:
    """Return the control as it goes to other processes."""
    return [_NAMES[type(control)], *map(str, astuple(control))]


def unpack(packed: Any) -> Control:
    """Return the control that a process packed; raise KeyError or ValueError for anything else."""
    name, first, *stream = packed
    kind: Any = _KINDS[name]
    return DropTag(first) if kind is DropTag else cast("Control", kind(UUID(first), *stream))


def user_of(packed: Any) -> UUID | None:
    """Return the user whose sockets a packed control is about; None if it concerns every process.

    Nobody knows which processes have sockets of a session, or have kept something with a tag.
    """
    control = unpack(packed)
    return control.user_id if isinstance(control, Subscribe | Revoke | LeaveRoom) else None
