"""The frames that are no events: answers, and word of the connection and of its streams."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.core.errors import DomainError
from apps.realtime.serializers import (
    AckPayload,
    ConnectedPayload,
    ErrorPayload,
    HeadsPayload,
    PongPayload,
    PresencePayload,
    ResetPayload,
    SubscribedPayload,
    UnsubscribedAnswer,
)
from apps.realtime.server_frames import SocketFrame


@dataclass(frozen=True, kw_only=True)
class Connected(SocketFrame):
    """You are in. Always the first frame, and sent once."""

    type = "connected"
    payload = ConnectedPayload

    client_id: str
    server_time: str
    user: Mapping[str, Any]
    streams: Mapping[str, int]
    heartbeat: int

    def data(self) -> dict[str, Any]:
        return {**super().data(), "user": self.user}


@dataclass(frozen=True, kw_only=True)
class Heartbeat(SocketFrame):
    """The heads of your streams, every 25 seconds."""

    type = "heartbeat"
    payload = HeadsPayload

    streams: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Pong(SocketFrame):
    """The answer to `ping`, with the heads of your streams."""

    type = "pong"
    payload = PongPayload

    timestamp: str
    streams: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Ack(SocketFrame):
    """A command was done. Its data is what that command returns."""

    type = "ack"
    payload = AckPayload

    returned: Mapping[str, Any]

    def data(self) -> dict[str, Any]:
        return dict(self.returned)


@dataclass(frozen=True, kw_only=True)
class Error(SocketFrame):
    """A frame of yours was refused, and nothing changed."""

    type = "error"
    payload = ErrorPayload

    error: DomainError

    def data(self) -> dict[str, Any]:
        return self.error.as_dict()


@dataclass(frozen=True, kw_only=True)
class PresenceShown(SocketFrame):
    """Who of the users that you asked for is online; of those whom you may not know of, nothing."""

    type = "presence"
    payload = PresencePayload

    presence: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Subscribed(SocketFrame):
    """You are subscribed to a stream. If you gave a number, what you missed since follows. It comes
    without being asked for when you begin to belong to something, and then all of that follows."""

    type = "subscribed"
    payload = SubscribedPayload

    stream: str
    head: int
    epoch: str
    recovered: bool


@dataclass(frozen=True, kw_only=True)
class Unsubscribed(SocketFrame):
    """You are not subscribed to a stream any more: you may not read it."""

    type = "unsubscribed"
    payload = UnsubscribedAnswer

    stream: str


@dataclass(frozen=True, kw_only=True)
class Reset(SocketFrame):
    """What you missed is not in the log, or the log began anew: fetch anew over REST, and go on
    from `head`. You are subscribed. It may come without being asked for."""

    type = "reset"
    payload = ResetPayload

    stream: str
    head: int
    epoch: str
