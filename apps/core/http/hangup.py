"""Connections whose clients do not read: they hold little, and they close."""

import asyncio
import socket
from typing import Any

# What a client may take to read the rest of what was written to it, in seconds.
CLOSING_SECONDS = 10.0
# What the system may take over for a connection before the network does, in bytes. By itself it
# takes up to four megabytes, which nobody counts, and we hear late that a client does not read.
UNSENT_BYTES = 128 * 1024


def keep_little_unsent(transport: asyncio.Transport) -> None:
    """Have the system take over no more than UNSENT_BYTES of what a client is not ready for."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    connection = transport.get_extra_info("socket")
    if option is not None and connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)


class HangingUp:
    """A transport whose close() ends.

    A plain transport closes once all that was written is read. A client that never reads keeps it,
    and what is buffered for it, for ever; this one is aborted after CLOSING_SECONDS.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._closing = False
        # Bound here, so that the calls of the hot path cost nothing more.
        self.write = transport.write
        self.abort = transport.abort
        self.is_closing = transport.is_closing

    def close(self) -> None:
        """Close once what was written is read, or when that takes too long."""
        if not self._closing:
            self._closing = True
            self._loop.call_later(CLOSING_SECONDS, self._transport.abort)
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
