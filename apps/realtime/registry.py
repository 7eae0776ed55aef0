"""What features register with the websocket: commands, and who may see whose presence."""

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
    """How a frame of a client is handled: the serializer that reads its data, and its answer.

    The answer is an `ack` with data that a serializer describes, or one of the frames named in
    `answers`, which the handler sends itself. Either way it may be `error` instead.
    """

    handler: Handler
    input: type[CamelSerializer]
    ack: type[CamelSerializer] | None
    answers: Sequence[type[SocketFrame]]


class SocketAuthenticator(Protocol):
    """What the accounts app decides about sockets and polls."""

    def authenticate(self, scope: Mapping[str, Any]) -> tuple[Identity, Mapping[str, Any]]:
        """Return the user and session that open this socket, and the user as they are shown to
        themselves; raise Unauthorized or Forbidden."""

    def identify(self, token: str) -> Identity:
        """Return the user and session of an access token; raise Unauthorized."""
        ...

    def active_sessions(self, sessions: Iterable[UUID]) -> set[UUID]:
        """Return those of the sessions that are still active."""


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
    """Register the handler of one type of frame; see Command. It takes what `input` reads, and
    returns the data of the `ack` if that is its answer."""
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


def audience(found: Audience) -> None:
    """Register a function that returns users who may see the presence of a user, given the user's
    id and the users among whom to look, which is None for all users."""
    _audiences.append(found)


def audience_of(user_id: UUID, among: Collection[UUID] | None = None) -> set[UUID]:
    """Return the users who may see the presence of the user: all of them, or those among some
    users."""
    return {other for found in _audiences for other in found(user_id, among)} - {user_id}
