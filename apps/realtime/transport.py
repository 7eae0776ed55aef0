"""How uvicorn runs: its websocket protocol with limits of our own, and its options."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode
from websockets.http11 import Request

from apps.core.http.answering_protocol import AnsweringHttpProtocol
from apps.core.http.connections import connections
from apps.core.http.slow_clients import AbortingTransport, limit_unsent_bytes
from apps.core.ratelimit import Limit, seconds_until_whole
from apps.realtime.closing import REASONS, TOO_MANY_FRAMES

FRAME_BYTES = 64 * 1024
HEARTBEAT_SECONDS = 25
GONE_AFTER_SECONDS = 60
# The limit of all frames of a client: pings and fragments of a message count too.
FRAMES = Limit(rate=20, burst=60)
# Frames are counted after they are parsed, so that no more bytes than these are parsed at once.
SLICE_BYTES = 4096
# For how long, and how many bytes, a client may go on to send until it has read its close frame.
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 1024
# How many pongs may wait for a client that pings and does not read.
UNREAD_PONGS = 64


class SocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's protocol, with limits that the application cannot have: it never sees a ping or a
    fragment.

    The scope's extensions offer the application `parley.abort`, since the normal close waits until
    the client has read all that was written, which a stalled client never does.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connection: Any = None
        self._frames_whole_at = 0.0
        self._refusing = False
        self._discarded = 0
        self._unread_pongs = 0

    def connection_made(self, transport: Any) -> None:
        """Take over the connection once its client asked for a websocket."""
        super().connection_made(transport)
        self._connection = transport
        self.transport = AbortingTransport(transport, self.loop)  # type: ignore[assignment]
        limit_unsent_bytes(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection no more among those of its network."""
        connections.release(self._connection)
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Open the websocket. The application's task, which is created here, does not run yet."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: Any = self.scope["extensions"]
            extensions["parley.abort"] = self.transport.abort

    def data_received(self, data: bytes) -> None:
        """Parse the data in slices, and nothing that comes after too many frames."""
        if self.handshake_initiated and not self.handshake_complete:
            # A client sends nothing before the socket is open (RFC 6455, 4.1). The parser would
            # fail at a ping, and could close nothing.
            self.disconnected = True
            self.transport.abort()
            return
        for start in range(0, len(data), SLICE_BYTES):
            if self._refusing:
                self._discard(len(data) - start)
                return
            super().data_received(data[start : start + SLICE_BYTES])

    def handle_events(self) -> None:
        """Handle the frames of one slice, unless they exceed the limit."""
        if not self._within_limit():
            self._refusing = True
            self._close_for_frames()
            return
        super().handle_events()

    def send_receive_event_to_app(self) -> None:
        """Hand over a message, or close with 1007 if its text is not UTF-8. Uvicorn would log a
        traceback for each of these, with which a client could fill the log."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            message = b"".join(self.frames)
            self.frames = [message]
            try:
                message.decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.fail(CloseCode.INVALID_DATA, "not UTF-8")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Send the pong, unless too many wait already for a client that does not read."""
        if not self.writable.is_set():
            self._unread_pongs += 1
            if self._unread_pongs > UNREAD_PONGS:
                self._refusing = True
                self.transport.abort()
                return
        super().handle_ping()

    def resume_writing(self) -> None:
        """Continue, since the client has read."""
        self._unread_pongs = 0
        super().resume_writing()

    def shutdown(self) -> None:
        """Send the client that the server stops, or abort before the websocket is open."""
        if self.transport.is_closing():
            # It was told already: a server tells its sockets one after the other, and then all.
            return
        if self.handshake_complete:
            super().shutdown()
        else:
            # After a handshake that failed the parser raises an error for any answer, which would
            # keep the server from closing all other sockets.
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        """Abort the connection of a client that is gone: a close frame would wait for it."""
        self.pong_timer = None
        self.pending_ping_payload = None
        self.transport.abort()

    def _within_limit(self) -> bool:
        """Count the frames of a slice; return whether all of them are within the limit."""
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
        # Pongs for the pings among the frames are not sent.
        self.conn.data_to_send()
        reason = REASONS[TOO_MANY_FRAMES]
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": TOO_MANY_FRAMES, "reason": reason}
        )
        self.conn.send_close(TOO_MANY_FRAMES, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        # If the connection were closed while the client still sends, its system would discard the
        # close frame before the client reads it.
        self.close_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _discard(self, size: int) -> None:
        """Ignore what a refused client sends, and abort when it is much."""
        self._discarded += size
        if self._discarded > LINGER_BYTES:
            self.transport.abort()


UVICORN: dict[str, Any] = {
    "http": AnsweringHttpProtocol,
    "ws": SocketProtocol,
    "ws_max_size": FRAME_BYTES,
    "ws_ping_interval": HEARTBEAT_SECONDS,
    "ws_ping_timeout": GONE_AFTER_SECONDS - HEARTBEAT_SECONDS,
    # Compression takes some 300 kB per socket, and is done again for each delivery.
    "ws_per_message_deflate": False,
    "lifespan": "on",
    # The settings configure the logs; uvicorn's own would show tokens in addresses.
    "log_config": None,
    "access_log": False,
    "server_header": False,
    # The address of the client is decided in one place, by SERVER_TRUSTED_PROXIES.
    "proxy_headers": False,
}
