"""Frames to one socket: answers, and notices about the connection and its subscriptions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.core.errors import DomainError
from apps.realtime.serializers import (
    AckPayload,
    ConnectedPayload,
    ErrorPayload,
    HeadsPayload,
    LeftRoomPayload,
    PongPayload,
    PresencePayload,
    ResetPayload,
    SubscribedPayload,
    UnsubscribeAck,
)
from apps.realtime.server_frames import SocketFrame


@dataclass(frozen=True, kw_only=True)
class Connected(SocketFrame):
    """The socket is open. This is always the first frame, and sent once."""

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
    """A command succeeded. The data is what the command returns."""

    type = "ack"
    payload = AckPayload

    returned: Mapping[str, Any]

    def data(self) -> dict[str, Any]:
        return dict(self.returned)


@dataclass(frozen=True, kw_only=True)
class Error(SocketFrame):
    """A frame that you sent was refused, and nothing changed."""

    type = "error"
    payload = ErrorPayload

    error: DomainError

    def data(self) -> dict[str, Any]:
        return self.error.as_dict()


@dataclass(frozen=True, kw_only=True)
class PresenceAnswer(SocketFrame):
    """Which of the users that you asked for are online. Users with whom you have no conversation
    are left out."""

    type = "presence"
    payload = PresencePayload

    presence: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Subscribed(SocketFrame):
    """You are subscribed to a stream. If you gave a number, the events after it follow. The server
    also sends this by itself when you join a group, and then all events since then follow."""

    type = "subscribed"
    payload = SubscribedPayload

    stream: str
    head: int
    epoch: str
    recovered: bool


@dataclass(frozen=True, kw_only=True)
class Unsubscribed(SocketFrame):
    """You are not subscribed to a stream any more, because you may not read it."""

    type = "unsubscribed"
    payload = UnsubscribeAck

    stream: str


@dataclass(frozen=True, kw_only=True)
class LeftRoom(SocketFrame):
    """You are not inside a room any more, because you may not see what it is about."""

    type = "left_room"
    payload = LeftRoomPayload

    room: str


@dataclass(frozen=True, kw_only=True)
class Reset(SocketFrame):
    """The log does not have all events that you missed, or its epoch changed: fetch the state over
    REST, and continue after `head`. You are subscribed. The server may send this by itself."""

    type = "reset"
    payload = ResetPayload

    stream: str
    head: int
    epoch: str
