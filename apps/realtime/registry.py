"""Where features tell the websocket what it cannot know: each calls this from its AppConfig."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol
from uuid import UUID

from apps.realtime.sockets import Socket, Visitor

Command = Callable[[Socket, Mapping[str, Any]], Awaitable[Mapping[str, Any] | None]]


class Gate(Protocol):
    """What the accounts decide about sockets."""

    def admit(self, scope: Mapping[str, Any]) -> tuple[Visitor, Mapping[str, Any]]:
        """Return who opens this socket, and himself as he is shown to himself; raise Unauthorized
        or Forbidden."""

    def living(self, sessions: Iterable[UUID]) -> set[UUID]:
        """Return those of the sessions that are still good."""


commands: dict[str, Command] = {}
_audiences: list[Callable[[UUID], Iterable[UUID]]] = []


def command(kind: str) -> Callable[[Command], Command]:
    """Register the handler of one type of frame. It returns the data of the `ack`."""

    def register(handler: Command) -> Command:
        commands[kind] = handler
        return handler

    return register


def audience(people: Callable[[UUID], Iterable[UUID]]) -> None:
    """Register some of those who may see whether a person is online."""
    _audiences.append(people)


def audience_of(user_id: UUID) -> set[UUID]:
    """Return everybody who may see whether the person is online."""
    return {other for people in _audiences for other in people(user_id)} - {user_id}
