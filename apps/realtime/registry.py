"""Where features tell the websocket what it cannot know: each calls this from its AppConfig."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured

from apps.core.serializers import CamelSerializer
from apps.realtime.server_frames import SocketFrame
from apps.realtime.sockets import Socket, Visitor

Handler = Callable[[Socket, Mapping[str, Any]], Awaitable[Mapping[str, Any] | None]]


@dataclass(frozen=True)
class Command:
    """What becomes of a frame of a client: the serializer that reads its data, and its answer.

    That is `ack`, with data that a serializer describes, or one of the frames named in `answers`,
    which the handler sends itself. Either way it may be `error` instead.
    """

    handler: Handler
    input: type[CamelSerializer]
    ack: type[CamelSerializer] | None
    answers: Sequence[type[SocketFrame]]


class Gate(Protocol):
    """What the accounts decide about sockets."""

    def admit(self, scope: Mapping[str, Any]) -> tuple[Visitor, Mapping[str, Any]]:
        """Return who opens this socket, and himself as he is shown to himself; raise Unauthorized
        or Forbidden."""

    def living(self, sessions: Iterable[UUID]) -> set[UUID]:
        """Return those of the sessions that are still good."""


commands: dict[str, Command] = {}
_audiences: list[Callable[[UUID], Iterable[UUID]]] = []


def command(
    kind: str,
    *,
    input: type[CamelSerializer],  # noqa: A002
    ack: type[CamelSerializer] | None = None,
    answers: Sequence[type[SocketFrame]] = (),
) -> Callable[[Handler], Handler]:
    """Register the handler of one type of frame; see Command. It is given what `input` reads, and
    returns the data of the `ack`, if that is its answer."""
    if kind in commands:
        raise ImproperlyConfigured(f"Two commands are named {kind!r}.")
    if (ack is None) == (not answers):
        raise ImproperlyConfigured(f"The command {kind!r} is answered by an ack, or by frames.")

    def register(handler: Handler) -> Handler:
        commands[kind] = Command(handler, input, ack, answers)
        return handler

    return register


def audience(people: Callable[[UUID], Iterable[UUID]]) -> None:
    """Register some of those who may see whether a person is online."""
    _audiences.append(people)


def audience_of(user_id: UUID) -> set[UUID]:
    """Return everybody who may see whether the person is online."""
    return {other for people in _audiences for other in people(user_id)} - {user_id}
