"""Where features tell the websocket what it cannot know: each calls this from its AppConfig."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured

from apps.core.serializers import CamelSerializer
from apps.realtime.server_frames import SocketFrame
from apps.realtime.sockets import Identity, Socket

Audience = Callable[[UUID, Collection[UUID] | None], Iterable[UUID]]
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


class SocketAuthenticator(Protocol):
    """What the accounts decide about sockets."""

    def authenticate(self, scope: Mapping[str, Any]) -> tuple[Identity, Mapping[str, Any]]:
        """Return who opens this socket, and himself as he is shown to himself; raise Unauthorized
        or Forbidden."""

    def active_sessions(self, sessions: Iterable[UUID]) -> set[UUID]:
        """Return those of the sessions that are still good."""


commands: dict[str, Command] = {}
_audiences: list[Audience] = []
_authenticators: list[SocketAuthenticator] = []


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


def authenticate_sockets(authenticator: SocketAuthenticator) -> None:
    """Register what decides who may open a socket; raise ImproperlyConfigured for a second one."""
    if _authenticators:
        raise ImproperlyConfigured("Two apps decide who may open a socket.")
    _authenticators.append(authenticator)


def socket_authenticator() -> SocketAuthenticator:
    """Return what decides who may open a socket; raise ImproperlyConfigured if no app has
    registered it."""
    if not _authenticators:
        raise ImproperlyConfigured("No app decides who may open a socket.")
    return _authenticators[0]


def audience(people: Audience) -> None:
    """Register some of those who may see whether a person is online: a function of user id and of
    those among whom they are looked for, which is everybody when it is None."""
    _audiences.append(people)


def audience_of(user_id: UUID, among: Collection[UUID] | None = None) -> set[UUID]:
    """Return who may see whether the person is online: everybody, or those among some people."""
    return {other for people in _audiences for other in people(user_id, among)} - {user_id}
