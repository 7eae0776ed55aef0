"""Bounds for connections whose clients do not read: on the memory, and on the time to close."""

import asyncio
import socket
from typing import Any

# How long a client may take to read the rest of the written data at the end, in seconds.
CLOSING_SECONDS = 10.0
# How much unsent data the system may buffer for a connection, in bytes. The default is up to four
# megabytes, which no limit counts, and the server would notice a stalled client late.
UNSENT_BYTES = 128 * 1024


def limit_unsent_bytes(transport: asyncio.Transport) -> None:
    """Let the system buffer no more than UNSENT_BYTES that the client does not accept yet."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    connection = transport.get_extra_info("socket")
    if option is not None and connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)


class AbortingTransport:
    """A transport whose close() always ends.

    A plain transport closes once the client has read all data. A client that never reads would hold
    it and its buffer for ever, so this one aborts after CLOSING_SECONDS.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._closing = False
        # Bound here, so that calls on the hot path cost nothing extra.
        self.write = transport.write
        self.abort = transport.abort
        self.is_closing = transport.is_closing

    def close(self) -> None:
        """Close once the client has read all data, or after CLOSING_SECONDS."""
        if not self._closing:
            self._closing = True
            self._loop.call_later(CLOSING_SECONDS, self._transport.abort)
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
