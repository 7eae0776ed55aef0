"""What an open websocket is to the rest of the app."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID, uuid4

# The name of this process. A channel that its hub listens on bears it, so that Redis knows which
# processes live.
PROCESS = uuid4().hex


@dataclass(frozen=True)
class Identity:
    """Who is behind a socket, and by which session."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True)
class PresenceEntry:
    """One socket of a person, and the process that serves it."""

    user_id: UUID
    session_id: UUID
    socket_id: str
    process: str = PROCESS

    @property
    def member(self) -> str:
        """Return how the socket is written in the set of its person's sockets."""
        return f"{self.session_id}:{self.socket_id}:{self.process}"


class Socket(Protocol):
    """One client, and what waits to be sent to it. Lives on the event loop."""

    identity: Identity
    entry: PresenceEntry
    number: int
    # What it is subscribed to; what its user may read no more since the database was asked; and
    # what its client does not want to be subscribed to.
    streams: set[str]
    revoked: set[str]
    declined: set[str]
    welcomed: bool
    closed: bool

    def push(self, content: str | bytes) -> None:
        """Send a frame, or have it wait behind those that the client has not taken yet. Never
        raises: a socket that cannot be sent to is cut off."""

    async def pushed(self, content: str | bytes) -> None:
        """Send a frame and wait until the client has taken what came before it."""

    def echo(self) -> Mapping[str, str]:
        """Return the requestId of the frame that is being answered, if it had one."""
        ...

    def close_soon(self, code: int) -> None:
        """Close the socket, whatever it is doing."""

    async def subscribe(self, name: str, after: int | None, epoch: str) -> None:
        """Follow a stream if the visitor may."""

    def unsubscribe(self, name: str) -> None:
        """Stop following a stream."""

    def heads(self) -> Mapping[str, int]:
        """Return the last number of each stream that the socket follows."""
        ...
