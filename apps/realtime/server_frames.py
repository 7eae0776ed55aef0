"""What the server sends is declared: every type of frame once, as a frozen dataclass.

A class names its type on the wire and the serializer that describes its data. That serializer's
fields are attributes of the frame, and are sent as they are: rendering by it would take longer than
all the rest of publish() (docs/decisions/0025-declared-events.md). That both agree is shown by the
suite, which holds every frame against asyncapi.yaml.
"""

from collections.abc import Mapping, Sequence
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

# Every type that the server sends, by its name on the wire.
server_frames: dict[str, type["ServerFrame"]] = {}


class ServerFrame:
    """A frame that the server sends. Declaring a subclass with a `type` registers it."""

    type: ClassVar[str] = ""
    payload: ClassVar[Payload]
    # Counted up when the payload changes otherwise than by an addition.
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
        return {outside: _plain(getattr(self, inside)) for inside, outside in self._names}


@dataclass(frozen=True, kw_only=True)
class StreamFrame(ServerFrame):
    """What the subscribers of streams are told: of those of one kind with the ids `to`, of which a
    single stream needs none."""

    stream: ClassVar[StreamType]

    to: Sequence[UUID] = ()

    @classmethod
    def _register(cls) -> None:
        if not isinstance(getattr(cls, "stream", None), StreamType):
            raise ImproperlyConfigured(f"{cls.__name__} goes to no stream.")
        super()._register()

    @classmethod
    def stream_types(cls) -> list[StreamType]:
        """Return the kinds of streams that frames of this type go to: its own, and those of its
        subclasses."""
        return [cls.stream, *(one for sub in cls.__subclasses__() for one in sub.stream_types())]

    def streams(self) -> list[str]:
        """Return the names of the streams that it goes to."""
        return self.stream.names(self.to)


@dataclass(frozen=True, kw_only=True)
class Event(StreamFrame):
    """Something that happened: logged, and sent again to whoever missed it. `subject` is the id of
    what it tells of, by which it is found when that is deleted."""

    subject: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Signal(StreamFrame):
    """Something that is true for the moment: told to those who are subscribed now, kept nowhere.

    Two processes may signal about the same thing at once, and be heard in either order. Such a
    signal says what it is `about`, and is not delivered after one with a larger `version`.
    """

    version: int = 0

    @property
    def about(self) -> str:
        """Return the name of the thing of which only the latest signal counts, if it is such."""
        return ""


@dataclass(frozen=True, kw_only=True)
class SocketFrame(ServerFrame):
    """What is told to one socket alone: an answer, or word of the connection itself."""

    def render(self, beside: Mapping[str, Any] | None = None) -> str:
        """Return the frame as text. `beside` is the requestId of what it answers."""
        return render(self.type, self.data(), beside)


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
