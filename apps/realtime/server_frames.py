"""The frames that the server sends: every type is declared once, as a frozen dataclass.

A class names its type on the wire and the serializer that describes its data. The serializer's
fields are attributes of the frame, and are sent as they are: to render with it would take longer
than all the rest of publish() (docs/decisions/0025-declared-events.md). The suite shows that both
agree, since it validates every frame against asyncapi.yaml.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured

from apps.core.http.envelope import rfc3339
from apps.core.serializers import CamelSerializer, camelize
from apps.realtime.frames import render
from apps.realtime.streams import StreamType

Payload = type[CamelSerializer]

# What the name of a room has before it where frames are addressed. It is in no name of a stream.
ROOM_PREFIX = "room:"

# Every type that the server sends, by its name on the wire.
server_frames: dict[str, type["ServerFrame"]] = {}


class ServerFrame:
    """A frame that the server sends. Declaring a subclass with a `type` registers it."""

    type: ClassVar[str] = ""
    payload: ClassVar[Payload]
    # Increased when the payload changes other than by an addition.
    payload_version: ClassVar[int] = 1
    _names: ClassVar[Sequence[tuple[str, str]]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.type:
            cls._register()

    @classmethod
    def _register(cls) -> None:
        described = getattr(cls, "payload", None)
        if not (isinstance(described, type) and issubclass(described, CamelSerializer)):
            raise ImproperlyConfigured(f"{cls.__name__} has no serializer as its payload.")
        known = server_frames.setdefault(cls.type, cls)
        # A subclass is the same frame on streams of another kind.
        if not issubclass(cls, known):
            name = known.__name__
            raise ImproperlyConfigured(f"{cls.__name__} and {name} are both {cls.type!r}.")
        cls._names = [(name, camelize(name)) for name in described._declared_fields]

    def data(self) -> dict[str, Any]:
        """Return the payload as it is sent."""
        return {on_wire: _plain(getattr(self, name)) for name, on_wire in self._names}


@dataclass(frozen=True, kw_only=True)
class StreamFrame(ServerFrame):
    """A frame to the subscribers of streams: those of one kind, with the ids `to`. A single stream
    needs no id."""

    stream: ClassVar[StreamType]

    to: Sequence[UUID] = ()

    @classmethod
    def _register(cls) -> None:
        if not isinstance(getattr(cls, "stream", None), StreamType):
            raise ImproperlyConfigured(f"{cls.__name__} goes to no stream.")
        super()._register()

    @classmethod
    def stream_types(cls) -> list[StreamType]:
        """Return the kinds of streams that frames of this type go to: those of the class and of its
        subclasses."""
        return [cls.stream, *(one for sub in cls.__subclasses__() for one in sub.stream_types())]

    def streams(self) -> list[str]:
        """Return the names of the streams that the frame goes to."""
        return self.stream.names(self.to)


@dataclass(frozen=True, kw_only=True)
class Event(StreamFrame):
    """Something that happened. It is logged, and sent again to subscribers who missed it. `subject`
    is the id of what it is about, by which it is found when that is deleted."""

    subject: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Signal(StreamFrame):
    """Something that is true for the moment. It is sent to the present subscribers and not logged.

    Two processes may signal about one thing at once, and the signals may arrive in either order.
    Such a signal names the thing in `about`, and is not delivered after one with a larger
    `version`.
    """

    version: int = 0

    @property
    def about(self) -> str:
        """Return the name of the thing of which only the latest signal counts, or nothing."""
        return ""


@dataclass(frozen=True, kw_only=True)
class RoomSignal(ServerFrame):
    """A signal about a user, to the others who are inside a room. Of signals about one user, none
    is delivered after one with a larger `version`."""

    room: str
    user_id: UUID
    version: int

    @property
    def about(self) -> str:
        """Return the id of the user, who does not get the signal."""
        return str(self.user_id)

    def streams(self) -> list[str]:
        """Return the address of those who are inside."""
        return [f"{ROOM_PREFIX}{self.room}"]


@dataclass(frozen=True, kw_only=True)
class SocketFrame(ServerFrame):
    """A frame to one socket: an answer, or a notice about the connection or a subscription."""

    def render(self, request_id: str | None = None) -> str:
        """Return the frame as text, with the requestId of the frame that it answers if it had
        one."""
        extra = {"requestId": request_id} if request_id is not None else {}
        return render(self.type, self.data(), extra)


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
