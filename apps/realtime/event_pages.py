"""What the answer to one request for events holds."""

from dataclasses import dataclass, field

from apps.realtime.event_log import PAGE_BYTES, PAGE_EVENTS
from apps.realtime.frames import Frame


@dataclass
class StreamEvents:
    """One stream as a client gets it: its head and epoch, and the events that the client missed.
    They are not `recovered` when the client must fetch the state over REST, and go on after the
    head."""

    name: str
    head: int
    epoch: str
    recovered: bool
    events: list[Frame] = field(default_factory=list)


class EventPage:
    """Streams with their events, each without a hole, until there is no room for more.

    It has as much room as a page of the log, and takes the event that exceeds the room. A client
    sees by a head beyond the last event, or by a stream that is missing, that there is more.
    `of_several` is whether the client has asked for more than one stream.
    """

    def __init__(self, *, of_several: bool) -> None:
        self.of_several = of_several
        self.streams: dict[str, StreamEvents] = {}
        self._events = self._bytes = 0

    @property
    def full(self) -> bool:
        """Return whether there is no room for one more event."""
        return self._events >= PAGE_EVENTS or self._bytes >= PAGE_BYTES

    @property
    def has_news(self) -> bool:
        """Return whether it tells the client anything that they do not know."""
        return any(one.events or not one.recovered for one in self.streams.values())

    def begin(self, name: str, head: int, epoch: str, *, recovered: bool) -> None:
        """Put in a stream without events, in place of what the page has of it."""
        self.streams[name] = StreamEvents(name, head, epoch, recovered)

    def add(self, frame: Frame) -> None:
        """Put in the next event of a stream that the page has. Without room it only moves the
        head."""
        stream = self.streams[frame.stream]
        stream.head = max(stream.head, frame.seq or 0)
        if not self.full:
            stream.events.append(frame)
            self._events += 1
            self._bytes += len(frame.content)
