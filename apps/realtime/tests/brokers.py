"""A broker in memory, for tests of what uses one."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from apps.realtime.broker import OWN, Message


class MemoryLink:
    """A link to a server in memory; see broker.Link. It confirms what it is asked for at once,
    unless `confirms` is false."""

    def __init__(self, *, confirms: bool = True) -> None:
        self.probe = OWN
        self.received_at = 0.0
        self.channels: set[str] = set()
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.confirms = confirms
        self.closed = False
        self._waiting: asyncio.Queue[Any] = asyncio.Queue()

    async def subscribe(self, channels: Sequence[str]) -> None:
        self._ask("subscribe", channels)
        self.channels.update(channels)

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        self._ask("unsubscribe", channels)
        self.channels.difference_update(channels)

    async def receive(self) -> tuple[str, str, Any]:
        item = await self._waiting.get()
        if isinstance(item, Exception):
            raise item
        kind, channel, content = item
        return kind, channel, content

    async def close(self) -> None:
        self.closed = True

    def put(self, item: Any) -> None:
        """Have the link receive an item, or fail with an error."""
        self._waiting.put_nowait(item)

    def _ask(self, kind: str, channels: Sequence[str]) -> None:
        if channels:
            self.asked.append((kind, tuple(channels)))
        if self.confirms:
            for channel in channels:
                self.put((kind, channel, None))


class MemoryBroker:
    """A server in memory; see broker.Broker. `opened` are all links to it."""

    def __init__(self, *, confirms: bool = True) -> None:
        self.opened: list[MemoryLink] = []
        self.published: list[Message] = []
        self._confirms = confirms

    @property
    def link(self) -> MemoryLink:
        """Return the present link."""
        return self.opened[-1]

    async def publish(self, messages: Sequence[Message]) -> None:
        """Have the present link receive what it is subscribed to."""
        self.published += messages
        for channel, content in messages:
            if self.opened and channel in self.link.channels:
                self.link.put(("message", channel, content))

    async def open(self) -> Mapping[str, MemoryLink]:
        """Return a new link."""
        self.opened.append(MemoryLink(confirms=self._confirms))
        return {"": self.link}

    def server_of(self, _: str) -> str:
        """Return the name of the only server."""
        return ""
