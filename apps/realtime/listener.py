"""Which channels this process receives: those of the streams that have subscribers here, those of
the users who have sockets here, and that of all hubs.

So what a process receives grows with its own sockets (docs/decisions/0046-wake-ups.md). A channel
is left some time after it was needed last, so that a client that comes back, or that subscribes
again and again, costs Redis nothing.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

import structlog

from apps.realtime.broker import CHANNELS_AT_ONCE, EVERYONE, Message

log = structlog.get_logger(__name__)

PROBE_SECONDS = 2.0
SILENCE_SECONDS = 7.0
# What Redis may take for one step; one that hangs takes for ever.
STEP_SECONDS = 2.0
# How long a socket waits until Redis confirms that this process receives a stream. One that waited
# in vain is the last: until Redis confirms something, nobody waits.
CONFIRM_SECONDS = 0.2


class LinkSilent(Exception):
    """Not even the relay's own probes come back."""


class ChannelMoved(Exception):
    """A cluster has given the channel to another of its servers."""


class Link(Protocol):
    """A connection that receives channels; see broker.Link."""

    probe: str
    received_at: float

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Ask to receive what is published on the channels."""

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        """Ask to receive no more of the channels."""

    async def receive(self) -> tuple[str, str, Any]:
        """Wait for what comes next: `message`, `subscribe` or `unsubscribe`, the channel, and what
        was published."""
        ...

    async def close(self) -> None:
        """Close the connection."""


class Links(Protocol):
    """What opens links; see broker.Broker."""

    async def open(self) -> Mapping[str, Link]:
        """Return a new link to each server, by the server's name."""
        ...

    def server_of(self, channel: str) -> str:
        """Return the name of the server that has the channel."""
        ...


class Listener:
    """Receives what is published on the channels that this process needs, and calls `deliver` with
    it, and `renewed` when it receives all of them by new links. Lives on one event loop."""

    def __init__(
        self, broker: Links, deliver: Callable[[bytes], None], renewed: Callable[[], None]
    ) -> None:
        self._broker = broker
        self._deliver = deliver
        self._renewed = renewed
        self._loop = asyncio.get_running_loop()
        # The channels that this process is to receive, and those of them that Redis has not
        # confirmed yet.
        self._channels = {EVERYONE}
        self._unconfirmed: dict[str, asyncio.Future[None]] = {}
        # Those of the channels with which the present links began that Redis has not answered for.
        self._renewing: set[str] = set()
        # The channels that nobody needed when that was last asked.
        self._idle: set[str] = set()
        # What Redis is to be asked for: to begin (true) or to end (false) each channel. The last
        # request for a channel replaces those that were not sent yet.
        self._changes: dict[str, bool] = {}
        self._changed = asyncio.Event()
        self._links: Mapping[str, Link] = {}
        self._probed_at = 0.0
        self._confirms = True

    async def listen(self, channels: Collection[str]) -> set[str]:
        """Return once Redis has confirmed that this process receives the channels, and in any case
        soon: what is lost until then is found in the log. Return those of them that it did not
        receive before."""
        for channel in channels:
            if channel not in self._channels:
                self._channels.add(channel)
                self._unconfirmed[channel] = self._loop.create_future()
                self._change(channel, receive=True)
        late = {channel for channel in channels if channel in self._unconfirmed}
        waiting = [self._unconfirmed[channel] for channel in late]
        if waiting and self._confirms:
            _, unanswered = await asyncio.wait(waiting, timeout=CONFIRM_SECONDS)
            if unanswered:
                self._confirms = False
        return late

    def leave_idle(self, needed: Collection[str]) -> None:
        """Leave the channels that are not needed, and were not when this was last called."""
        idle = self._channels - {EVERYONE}.union(needed)
        for channel in idle & self._idle:
            self._channels.discard(channel)
            self._unconfirmed.pop(channel, None)
            self._change(channel, receive=False)
        self._idle = idle

    def due_probes(self) -> list[Message]:
        """Return what has to be published now, so that each link shows that it works."""
        if self._loop.time() - self._probed_at < PROBE_SECONDS:
            return []
        self._probed_at = self._loop.time()
        return [(link.probe, b"") for link in self._links.values()]

    async def run(self) -> None:
        """Receive until a link fails or falls silent; log why."""
        links: Mapping[str, Link] = {}
        try:
            async with asyncio.timeout(STEP_SECONDS):
                links = await self._broker.open()
                for link in links.values():
                    await link.subscribe([link.probe])
            await self._receive_by(links)
        except Exception as error:  # noqa: BLE001
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            log.warning("wake-ups are not received", error=type(error).__name__)
        finally:
            self._links, self._confirms = {}, False
            async with asyncio.timeout(STEP_SECONDS):
                for link in links.values():
                    await link.close()

    async def _receive_by(self, links: Mapping[str, Link]) -> None:
        # Nothing is confirmed on new links, and what was asked of the old ones is void.
        for channel in self._channels - self._unconfirmed.keys():
            self._unconfirmed[channel] = self._loop.create_future()
        self._changes = dict.fromkeys(self._channels, True)
        self._renewing = set(self._channels)
        self._changed.set()
        self._links, self._probed_at = links, 0.0
        async with asyncio.TaskGroup() as tasks:
            for link in links.values():
                link.received_at = self._loop.time()
                tasks.create_task(self._receive_from(link))
            tasks.create_task(self._send_changes())
            tasks.create_task(self._raise_when_silent())

    async def _receive_from(self, link: Link) -> None:
        while True:
            kind, channel, content = await link.receive()
            link.received_at = self._loop.time()
            if kind != "message":
                self._take_answer(kind, channel)
            elif channel != link.probe:
                self._deliver(content)

    def _take_answer(self, kind: str, channel: str) -> None:
        """Learn that Redis has begun, or ended, to send what is published on a channel."""
        if kind == "subscribe":
            self._confirms = True
            if (waiting := self._unconfirmed.pop(channel, None)) is not None:
                waiting.set_result(None)
        elif channel in self._channels and channel not in self._unconfirmed:
            raise ChannelMoved
        if channel in self._renewing:
            self._renewing.discard(channel)
            if not self._renewing:
                self._renewed()

    async def _send_changes(self) -> None:
        while await self._changed.wait():
            self._changed.clear()
            while self._changes:
                part = dict(islice(self._changes.items(), CHANNELS_AT_ONCE))
                for channel in part:
                    del self._changes[channel]
                for server, link in self._links.items():
                    here = [one for one in part if self._broker.server_of(one) == server]
                    await link.unsubscribe([one for one in here if not part[one]])
                    await link.subscribe([one for one in here if part[one]])

    async def _raise_when_silent(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS / 2)
            if any(
                self._loop.time() - link.received_at > SILENCE_SECONDS
                for link in self._links.values()
            ):
                raise LinkSilent

    def _change(self, channel: str, *, receive: bool) -> None:
        # Moved to the end, so that what is sent has the order of the requests.
        self._changes.pop(channel, None)
        self._changes[channel] = receive
        self._changed.set()
