"""What an open websocket, and any other subscriber of streams, is to the rest of the app."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID, uuid4

from apps.realtime.frames import Frame
from apps.realtime.server_frames import SocketFrame

# The name of this process. It is part of the name of a channel that only this process receives, by
# which Redis knows which processes are alive.
PROCESS = uuid4().hex


@dataclass(frozen=True)
class Identity:
    """The user of a socket, and the session by which it was authenticated."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True)
class PresenceEntry:
    """One socket of a user, the process that serves it, and whether the user is away from it."""

    user_id: UUID
    session_id: UUID
    socket_id: str
    process: str = PROCESS
    away: bool = field(default=False, compare=False)

    @property
    def member(self) -> str:
        """Return how the socket is written in the set of its user's sockets."""
        return f"{self.session_id}:{self.socket_id}:{self.process}"


class Subscriber(Protocol):
    """What receives the frames of streams for one client: a socket, or a poll. Lives on the event
    loop."""

    identity: Identity
    # Whether the server subscribes it to the automatic streams of its user.
    automatic: bool
    # The streams that it is subscribed to; those that its user may not read since the database was
    # asked; and those that only its client subscribes it to, or that the client unsubscribed from.
    streams: set[str]
    revoked: set[str]
    opted_out: set[str]
    # Where its subscription of each stream that it is catching up on begins. A subscription that is
    # not here any more was replaced or ended, and sends nothing more.
    catching_up: dict[str, object]
    # Whether its first frame, `connected`, was sent.
    connected: bool
    closed: bool

    @property
    def named(self) -> Mapping[str, str]:
        """Return the fields by which lines of the log name it."""
        ...

    def deliver(self, frame: Frame) -> None:
        """Take an event or a signal of a stream. Never raises."""

    def tell(self, frame: SocketFrame, request_id: str | None = None) -> None:
        """Take the answer to a subscription, with the requestId if that had one, or a notice about
        one. Never raises."""

    async def drain(self) -> None:
        """Wait until the client has taken all frames so far."""

    def close(self, code: int) -> None:
        """End it for the reason that a close code names."""


class Socket(Subscriber, Protocol):
    """One open websocket, and what waits to be sent to it."""

    entry: PresenceEntry
    number: int
    # The rooms that it is inside.
    rooms: set[str]
    # The requestId of the frame that is being dispatched, if it has one.
    request_id: str | None

    def push(self, content: str | bytes) -> None:
        """Send a frame, or have it wait behind those that the client has not taken yet. Never
        raises: a socket that cannot be sent to is closed."""

    def reply(self, frame: SocketFrame) -> None:
        """Push the answer to the frame that is being dispatched, with its requestId if it had
        one."""

    async def subscribe(self, name: str, after: int | None, epoch: str) -> None:
        """Subscribe to a stream if the user may read it, and answer that."""

    def unsubscribe(self, name: str) -> None:
        """Unsubscribe from a stream."""

    def set_away(self, away: bool) -> None:
        """Note whether the user is away from this device."""

    async def enter_room(self, room: str) -> None:
        """Receive the signals of a room, and stay inside while the socket is open."""

    def leave_room(self, room: str) -> None:
        """Receive nothing more of a room."""

    def heads(self) -> Mapping[str, int]:
        """Return the last number of each stream that the socket is subscribed to."""
        ...
