"""One websocket whose user is authenticated."""

import itertools
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from apps.core.http.envelope import timestamp
from apps.core.quick_log import QuickLog
from apps.realtime.connection_log import Timeline, some
from apps.realtime.errors import TooManyStreams
from apps.realtime.frames import Frame
from apps.realtime.hub import Hub
from apps.realtime.outbox import Outbox
from apps.realtime.resume_points import ResumePoint
from apps.realtime.server_frames import SocketFrame
from apps.realtime.socket_frames import Connected
from apps.realtime.sockets import Identity, PresenceEntry
from apps.realtime.transport import HEARTBEAT_SECONDS
from apps.realtime.wire import SOCKET_LOGGER, Wire

log = QuickLog(SOCKET_LOGGER)

# More than a user has groups, and few enough that a heartbeat, which names all of them, is smaller
# than 64 KiB.
STREAMS_PER_SOCKET = 1_000


_numbers = itertools.count()


class OpenSocket(Outbox):
    """A client that the hub knows; see sockets.Socket. It has no channel of its own: the hub
    calls deliver()."""

    automatic = True

    def __init__(self, wire: Wire, hub: Hub, entry: PresenceEntry) -> None:
        super().__init__(wire)
        self.entry = entry
        self.identity = Identity(entry.user_id, entry.session_id)
        self.number = next(_numbers)
        self.streams: set[str] = set()
        self.revoked: set[str] = set()
        self.opted_out: set[str] = set()
        self.catching_up: dict[str, object] = {}
        self.rooms: set[str] = set()
        self.connected = False
        self.request_id: str | None = None
        self._hub = hub
        self._opened_at = time.monotonic()
        hub.add(self)
        self._timeline = Timeline(entry, wire)

    async def start(self, user: Mapping[str, Any]) -> None:
        """Subscribe to the automatic streams of the user, and send `connected` with their heads.

        The subscriptions come first, so that they begin at the heads that the frame names.
        """
        await self._hub.subscriptions.subscribe_at_start(self)
        self.connected = True
        connected = Connected(
            client_id=self.entry.socket_id,
            server_time=timestamp(),
            user=user,
            streams=self.heads(),
            heartbeat=HEARTBEAT_SECONDS,
        )
        self.push(connected.render())
        self._timeline.note("connected", streams=some(connected.streams))
        self._hub.subscriptions.subscribe_pending(self)

    @property
    def named(self) -> Mapping[str, str]:
        """Return the fields by which lines of the log name it."""
        return {"socket_id": self.entry.socket_id, "user_id": str(self.entry.user_id)}

    def deliver(self, frame: Frame) -> None:
        """Push an event or a signal of a stream."""
        self.push(frame.content)

    def tell(self, frame: SocketFrame, request_id: str | None = None) -> None:
        """Push the answer to a subscription, or a notice about one."""
        self.push(frame.render(request_id))
        self._timeline.told(frame)

    def reply(self, frame: SocketFrame) -> None:
        """Push the answer to the frame that is being dispatched, with its requestId if it had
        one."""
        self.push(frame.render(self.request_id))

    async def subscribe(self, name: str, after: int | None, epoch: str) -> None:
        """Subscribe to a stream if the user may read it; the hub pushes the answer."""
        if name not in self.streams and len(self.streams) >= STREAMS_PER_SOCKET:
            raise TooManyStreams
        point = ResumePoint(after, epoch, self.request_id)
        await self._hub.subscriptions.subscribe(self, name, point)
        if after is not None:
            self._timeline.note("had", stream=name, number=after)

    def unsubscribe(self, name: str) -> None:
        """Unsubscribe from a stream."""
        self._hub.subscriptions.unsubscribe(self, name)

    def set_away(self, away: bool) -> None:
        """Note whether the user is away from this device."""
        self.entry = replace(self.entry, away=away)

    async def enter_room(self, room: str) -> None:
        """Receive the signals of a room, and stay inside while the socket is open."""
        await self._hub.enter_room(self, room)

    def leave_room(self, room: str) -> None:
        """Receive nothing more of a room."""
        self._hub.rooms.remove(self, room)

    def heads(self) -> dict[str, int]:
        """Return the last number of each stream that the socket is subscribed to."""
        return self._hub.subscriptions.heads_of(self)

    async def leave(self, client_code: int | None = None) -> None:
        """Forget the socket, which is closed: by the server, or by the client with this code."""
        self.closed = True
        self._timeline.end(self.close_code or client_code, self.heads())
        try:
            await self._hub.forget(self.entry)
            await self._hub.leave_rooms(self)
        finally:
            # This comes last, so that a hub without sockets has none that is still at work.
            self._hub.remove(self)
        log.info(
            "disconnected",
            socket_id=self.entry.socket_id,
            user_id=str(self.entry.user_id),
            code=self.close_code or client_code,
            seconds=round(time.monotonic() - self._opened_at, 1),
        )
