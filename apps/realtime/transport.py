"""How uvicorn is run: its websocket protocol with bounds of its own, and its options."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from apps.core.http.connections import connections
from apps.core.http.protocol import BoundedHttpProtocol
from apps.core.http.slow_clients import AbortingTransport, limit_unsent_bytes
from apps.core.ratelimit import Limit, seconds_until_whole
from apps.realtime.closing import REASONS, TOO_MANY_FRAMES

FRAME_BYTES = 64 * 1024
HEARTBEAT_SECONDS = 25
GONE_AFTER_SECONDS = 60
# Of a client's frames, whatever they are: pings and the parts of a message count like any other.
FRAMES = Limit(rate=20, burst=60)
# Frames are counted after they are parsed, so that no more bytes than these are parsed at once.
SLICE_BYTES = 4096
# How long, and with how much, a client that was cut off may go on until it has read why.
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 1024
# Pongs that may wait for a client that pings and does not read.
UNREAD_PONGS = 64


class SocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's, with limits below the application, which never sees a ping or a fragment.

    It offers the application `parley.abort` in its scope's extensions: its own close waits until
    the client has read all that was written, which a stalled one never does.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connection: Any = None
        self._frames_whole_at = 0.0
        self._cut_off = False
        self._discarded = 0
        self._unread_pongs = 0

    def connection_made(self, transport: Any) -> None:
        """Take over the connection once its client has asked for a websocket."""
        super().connection_made(transport)
        self._connection = transport
        self.transport = AbortingTransport(transport, self.loop)  # type: ignore[assignment]
        limit_unsent_bytes(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back the place that the connection took among those of its network."""
        connections.release(self._connection)
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Open the websocket. The application's task, made here, has not begun to run yet."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: Any = self.scope["extensions"]
            extensions["parley.abort"] = self.transport.abort

    def data_received(self, data: bytes) -> None:
        """Parse what came in slices, and nothing of what comes after too many frames."""
        for start in range(0, len(data), SLICE_BYTES):
            if self._cut_off:
                self._discard(len(data) - start)
                return
            super().data_received(data[start : start + SLICE_BYTES])

    def handle_events(self) -> None:
        """Handle the frames of one slice, unless they are too many."""
        if not self._within_limit():
            self._cut_off = True
            self._close_for_frames()
            return
        super().handle_events()

    def handle_ping(self) -> None:
        """Send the pong, unless too many wait already for a client that does not read."""
        if not self.writable.is_set():
            self._unread_pongs += 1
            if self._unread_pongs > UNREAD_PONGS:
                self._cut_off = True
                self.transport.abort()
                return
        super().handle_ping()

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        self._unread_pongs = 0
        super().resume_writing()

    def shutdown(self) -> None:
        """Tell the client that the server stops, or hang up on one that is no websocket yet."""
        if self.handshake_complete:
            super().shutdown()
        else:
            # Of a handshake that has failed the parser wants no answer any more, and says so by an
            # error, which would keep the server from telling all the others.
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        """Hang up on a client that is gone: a close frame would wait for it to read."""
        self.pong_timer = None
        self.pending_ping_payload = None
        self.transport.abort()

    def _within_limit(self) -> bool:
        """Count the frames of a slice; return whether all of them are allowed."""
        now = self.loop.time()
        for event in self.conn.events:
            if isinstance(event, Request):
                continue
            wait = seconds_until_whole(self._frames_whole_at, now, FRAMES)
            if wait > FRAMES.burst / FRAMES.rate:
                return False
            self._frames_whole_at = now + wait
        return True

    def _close_for_frames(self) -> None:
        if self.close_sent or not self.handshake_complete:
            self.transport.abort()
            return
        # The pongs that were made for the pings among them are not sent.
        self.conn.data_to_send()
        reason = REASONS[TOO_MANY_FRAMES]
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": TOO_MANY_FRAMES, "reason": reason}
        )
        self.conn.send_close(TOO_MANY_FRAMES, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        # Were it closed while the client still sends, systems would throw the close frame away with
        # the connection before it is read.
        self.close_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _discard(self, size: int) -> None:
        """Take no notice of what a client sends that was cut off, nor of very much of it."""
        self._discarded += size
        if self._discarded > LINGER_BYTES:
            self.transport.abort()


UVICORN: dict[str, Any] = {
    "http": BoundedHttpProtocol,
    "ws": SocketProtocol,
    "ws_max_size": FRAME_BYTES,
    "ws_ping_interval": HEARTBEAT_SECONDS,
    "ws_ping_timeout": GONE_AFTER_SECONDS - HEARTBEAT_SECONDS,
    # Deflating costs each socket some 300 kB, and each delivery its own compression.
    "ws_per_message_deflate": False,
    "lifespan": "on",
    # The logs are configured by the settings; uvicorn's own would show tokens in addresses.
    "log_config": None,
    "access_log": False,
    "server_header": False,
    # Who the client is, is decided in one place, by SERVER_TRUSTED_PROXIES.
    "proxy_headers": False,
}
