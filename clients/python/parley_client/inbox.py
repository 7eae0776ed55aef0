"""What has arrived, in the order in which the application takes it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from parley_client.frames import Event, Received
from parley_client.log import note
from parley_client.streams import Streams, Verdict


class Inbox:
    """Events that wait for the application, at most `most` of them.

    One that does not fit is not applied. When the application has caught up, the client asks for
    all streams again; `work` is set then.
    """

    def __init__(self, streams: Streams, work: asyncio.Event, most: int) -> None:
        self.streams = streams
        self._work = work
        self._most = most
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._end: Callable[[], Exception] | None = None
        # Set once the server has answered for each stream: from then on the client misses nothing.
        self.ready = asyncio.Event()

    @property
    def full(self) -> bool:
        """Return whether no further event is applied now."""
        return not self._room.is_set()

    async def room(self) -> None:
        """Wait until events are applied."""
        await self._room.wait()

    def take(self, stream: str, seq: int, kind: str, data: Mapping[str, Any]) -> None:
        """Take an event that has arrived: once, and only if it is the next of its stream."""
        if self.full:
            return
        last = self.streams.last(stream)
        verdict = self.streams.judge(stream, seq)
        fields = {"stream": stream, "seq": seq, "type": kind, "last": last}
        if verdict is Verdict.APPLY:
            note("event", level=logging.DEBUG, **fields)
            self._put(Event(stream, seq, kind, data, self.streams.epoch(stream)))
        elif verdict is Verdict.DROP:
            note("event dropped", level=logging.DEBUG, **fields)
        else:
            note("event missing", level=logging.WARNING, **fields)

    def take_signal(self, kind: str, data: Mapping[str, Any]) -> None:
        """Take a signal, or nothing if there is no room: a signal may be lost."""
        if not self.full:
            self._put(Event("", None, kind, data))

    def compare(self, heads: Mapping[str, int]) -> None:
        """Learn the heads of streams, and ask for those that miss something."""
        if self.full:
            return
        before = {name: self.streams.last(name) for name in heads}
        for name in self.streams.compare(heads):
            note("head differs", stream=name, last=before[name], head=heads[name])

    def connected(self, heads: Mapping[str, int]) -> None:
        """Begin a connection with these heads."""
        for name in self.streams.connected(heads):
            self._tell(Received.SUBSCRIBED, name, {"stream": name, "head": heads[name]})

    def subscribed(self, data: Mapping[str, Any], *, asked: bool) -> None:
        """Take the news that a stream is subscribed to."""
        name, head, epoch = data["stream"], data["head"], data["epoch"]
        recovered = bool(data["recovered"])
        new = self.streams.subscribed(name, head, epoch, recovered=recovered, asked=asked)
        note(
            "subscribed",
            level=logging.DEBUG,
            stream=name,
            head=head,
            epoch=epoch,
            recovered=recovered,
        )
        if new:
            self._tell(Received.SUBSCRIBED, name, data)
        self._check_ready()

    def reset(self, data: Mapping[str, Any], *, asked: bool) -> None:
        """Take the news that events are no longer to be had."""
        name, last = data["stream"], self.streams.last(data["stream"])
        self.streams.reset(name, data["head"], data["epoch"], asked=asked)
        note(
            "reset",
            level=logging.WARNING,
            stream=name,
            last=last,
            head=data["head"],
            epoch=data["epoch"],
        )
        self._tell(Received.RESET, name, data)
        self._check_ready()

    def unsubscribed(self, name: str, data: Mapping[str, Any]) -> None:
        """Take the news that the user may not read a stream any more."""
        self.streams.forget(name)
        note("unsubscribed", stream=name)
        self._put(Event(name, None, Received.UNSUBSCRIBED, data))
        self._check_ready()

    def end(self, reason: Callable[[], Exception] | None) -> None:
        """Let the application take what waits, and then raise why nothing follows; None if the
        application itself ended it."""
        self._end = reason
        self._events.put_nowait(None)

    async def events(self) -> AsyncIterator[Event]:
        """Yield what arrives, until end()."""
        while (event := await self._events.get()) is not None:
            yield event
            if self.full and self._events.qsize() <= self._most // 2:
                self._make_room()
        # For the next who asks.
        self._events.put_nowait(None)
        if self._end is not None:
            raise self._end()

    def _make_room(self) -> None:
        self._room.set()
        for name in self.streams.names:
            self.streams.want(name)
        self._work.set()

    def _check_ready(self) -> None:
        if self.streams.answered:
            self.ready.set()

    def _tell(self, kind: str, name: str, data: Mapping[str, Any]) -> None:
        streams = self.streams
        self._put(Event(name, streams.last(name), kind, data, streams.epoch(name)))

    def _put(self, event: Event) -> None:
        self._events.put_nowait(event)
        if self._events.qsize() >= self._most:
            note("inbox full", level=logging.WARNING, events=self._most)
            self._room.clear()
