"""One websocket whose user is known."""

import itertools
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog

from apps.core.errors import Busy
from apps.core.http.envelope import timestamp
from apps.realtime.errors import TooManyStreams
from apps.realtime.hub import Hub
from apps.realtime.outbox import Outbox
from apps.realtime.presence import presence_store
from apps.realtime.socket_frames import Connected
from apps.realtime.sockets import Identity, PresenceEntry
from apps.realtime.stream_subscribers import ResumePoint
from apps.realtime.threads import asking_redis, later
from apps.realtime.transport import HEARTBEAT_SECONDS
from apps.realtime.wire import Wire

log = structlog.get_logger("parley.socket")

# More than anybody has groups, and few enough that a heartbeat, which names all of them, is less
# than 64 KiB.
STREAMS_PER_SOCKET = 1_000

_numbers = itertools.count()


class OpenSocket(Outbox):
    """A client that the hub knows; see sockets.Socket. It has no channel of its own on the layer:
    the hub calls push()."""

    def __init__(self, wire: Wire, hub: Hub, entry: PresenceEntry) -> None:
        super().__init__(wire, hub.spawn)
        self.entry = entry
        self.identity = Identity(entry.user_id, entry.session_id)
        self.number = next(_numbers)
        self.streams: set[str] = set()
        self.revoked: set[str] = set()
        self.declined: set[str] = set()
        self.welcomed = False
        self.request_id: str | None = None
        self._hub = hub
        hub.add(self)

    async def welcome(self, user: Mapping[str, Any]) -> None:
        """Say `connected`, and follow the streams that the visitor belongs to from their heads.

        They are joined first, so that the heads that are told are those they are followed from.
        """
        await self._hub.subscriptions.enter(self)
        self.welcomed = True
        connected = Connected(
            client_id=self.entry.socket_id,
            server_time=timestamp(),
            user=user,
            streams=self.heads(),
            heartbeat=HEARTBEAT_SECONDS,
        )
        self.push(connected.render())
        self._hub.subscriptions.welcomed(self)

    def echo(self) -> dict[str, str]:
        """Return the requestId of the frame that is being answered, if it had one."""
        return {"requestId": self.request_id} if self.request_id is not None else {}

    async def subscribe(self, name: str, after: int | None, epoch: str) -> None:
        """Follow a stream if the visitor may; it is answered by the hub."""
        if name not in self.streams and len(self.streams) >= STREAMS_PER_SOCKET:
            raise TooManyStreams
        point = ResumePoint(after, epoch, self.echo())
        await self._hub.subscriptions.subscribe(self, name, point)

    def unsubscribe(self, name: str) -> None:
        """Stop following a stream."""
        self._hub.subscriptions.decline(self, name)

    def heads(self) -> dict[str, int]:
        """Return the last number of each stream that the socket follows."""
        return self._hub.subscriptions.heads_of(self)

    async def leave(self) -> None:
        """Have the socket forgotten: it is closed."""
        self.closed = True
        leave = partial(presence_store().leave, self.entry)
        try:
            await asking_redis(leave)
        except Busy:
            # A socket that stayed would keep its user online for ever.
            later(leave)
        finally:
            # Last, so that who sees no sockets any more sees none that is still at work.
            self._hub.remove(self)
        log.info("disconnected", client=self.entry.socket_id, user_id=str(self.entry.user_id))
