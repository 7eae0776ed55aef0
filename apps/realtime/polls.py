"""A request that waits for events: a subscriber of its streams, like a socket."""

import asyncio
from collections.abc import Mapping

from apps.realtime.event_pages import EventPage
from apps.realtime.frames import Frame
from apps.realtime.hub import Hub
from apps.realtime.resume_points import ResumePoint
from apps.realtime.server_frames import SocketFrame
from apps.realtime.socket_frames import Reset, Subscribed, Unsubscribed
from apps.realtime.sockets import Identity


class PageFull(Exception):
    """There is no room for more events of the backlog."""


class Poll:
    """See sockets.Subscriber. It ends with the first events, and when it may not read a stream."""

    __slots__ = (
        "_ended",
        "_request_id",
        "catching_up",
        "closed",
        "identity",
        "opted_out",
        "page",
        "refused",
        "revoked",
        "streams",
    )

    automatic = False
    connected = True

    def __init__(self, identity: Identity, request_id: str, *, of_several: bool) -> None:
        self.identity = identity
        self.streams: set[str] = set()
        self.revoked: set[str] = set()
        self.opted_out: set[str] = set()
        self.catching_up: dict[str, object] = {}
        self.closed = False
        self.page = EventPage(of_several=of_several)
        # Whether its session ended, or its user may not read one of the streams any more.
        self.refused = False
        self._request_id = request_id
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def named(self) -> Mapping[str, str]:
        """Return the fields by which lines of the log name it."""
        return {"request_id": self._request_id, "user_id": str(self.identity.user_id)}

    def deliver(self, frame: Frame) -> None:
        """Take an event. A signal is for sockets only, since polls would miss most of them."""
        if frame.seq is not None:
            self.page.add(frame)
            self.end()

    def tell(self, frame: SocketFrame, request_id: str | None = None) -> None:
        """Take the answer to a subscription, or a notice about one."""
        match frame:
            case Subscribed(stream=name, head=head, epoch=epoch, recovered=recovered):
                self.page.begin(name, head, epoch, recovered=recovered)
            case Reset(stream=name, head=head, epoch=epoch):
                self.page.begin(name, head, epoch, recovered=False)
            case Unsubscribed():
                self.refused = True
        if self.refused or self.page.has_news:
            self.end()

    async def drain(self) -> None:
        """Raise PageFull if it takes no more of a backlog."""
        if self.page.full:
            raise PageFull

    def close(self, code: int) -> None:
        """End it, since its session ended."""
        self.closed = self.refused = True
        self.end()

    def end(self) -> None:
        """Have the request answered with what there is."""
        if not self._ended.done():
            self._ended.set_result(None)

    async def collect(self, hub: Hub, points: Mapping[str, ResumePoint], seconds: float) -> None:
        """Subscribe from these points on, and wait for the first event, for so long at most. Raise
        StreamNotFound.

        Nothing more is collected afterwards.
        """
        hub.enter(self)
        try:
            for name, point in points.items():
                if self.page.full:
                    break
                try:
                    await hub.subscriptions.subscribe(self, name, point)
                except PageFull:
                    break
            timer = hub.loop.call_later(seconds, self.end)
            try:
                await self._ended
            finally:
                timer.cancel()
        finally:
            hub.leave(self)
