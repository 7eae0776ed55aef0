"""What features register with the websocket: commands, who may see whose presence, and how it is
announced that somebody entered or left a room."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured

from apps.core.errors import DomainError
from apps.core.serializers import CamelSerializer
from apps.realtime.server_frames import SocketFrame
from apps.realtime.sockets import Identity, Socket

Audience = Callable[[Collection[UUID], Collection[UUID] | None], Iterable[tuple[UUID, UUID]]]
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


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The user and session that open a socket, and the user as they are shown to themselves."""

    identity: Identity
    user: Mapping[str, Any]


class MustWait(Exception):
    """What opens this socket is locked by another transaction. The others of its group must not
    wait for that."""


class SocketAuthenticator(Protocol):
    """What the accounts app decides about sockets and polls."""

    def authenticate(
        self, scopes: Sequence[Mapping[str, Any]], *, wait: bool
    ) -> Sequence[Authenticated | DomainError | MustWait]:
        """Return for each handshake, in their order, who opens the socket, or why nobody does.
        Unless it is told to `wait` for locks, that may be MustWait."""

    def identify(self, token: str) -> Identity:
        """Return the user and session of an access token; raise Unauthorized."""
        ...

    def active_sessions(self, sessions: Iterable[UUID]) -> set[UUID]:
        """Return those of the sessions that are still active."""


commands: dict[str, Command] = {}
_audiences: list[Audience] = []
_separations: list[Audience] = []
_room_announcers: list[Callable[[Sequence[Any]], None]] = []
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
    """Register a function that returns who may see the presence of some users, each as that user
    and one who may see them, given the users and those among whom to look, which is None for all.
    """
    _audiences.append(found)


def separation(found: Audience) -> None:
    """Register a function that returns who may not see the presence of some users, whatever the
    audiences say, as audience() does."""
    _separations.append(found)


def visible_to(viewer_id: UUID, users: Collection[UUID]) -> set[UUID]:
    """Return those of the users whose presence the viewer may see."""
    audiences = audiences_of(users, [viewer_id])
    return {user for user, audience in audiences.items() if viewer_id in audience}


def audiences_of(
    users: Collection[UUID], among: Collection[UUID] | None = None
) -> dict[UUID, set[UUID]]:
    """Return for each of the users who may see their presence, all of them or those among some
    users, with the queries of one."""
    audiences: dict[UUID, set[UUID]] = {user: set() for user in users}
    for found in _audiences:
        for user, other in found(users, among):
            if user != other:
                audiences[user].add(other)
    for found in _separations:
        for user, other in found(users, among):
            audiences[user].discard(other)
    return audiences


def room_announcer(announcer: Callable[[Sequence[Any]], None]) -> None:
    """Register a function that announces changes of rooms (rooms.RoomChange)."""
    _room_announcers.append(announcer)


def announce_rooms(changes: Sequence[Any]) -> None:
    """Announce changes of rooms to those who are inside."""
    for announcer in _room_announcers if changes else ():
        announcer(changes)
