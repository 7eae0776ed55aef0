"""A proxy between a client and its server that does what networks do."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Self

FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BadProxy:
    """Forwards connections to a port of 127.0.0.1.

    While it `blocks`, new websockets are refused, and HTTP passes. While it `loses_answers`, what
    the server sends is lost; a connection that has lost something loses all that follows.
    """

    def __init__(self, to_port: int) -> None:
        self.blocks = False
        self.loses_answers = False
        self.url = ""
        self._to_port = to_port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            head = await reader.readuntil(b"\r\n\r\n")
            if self.blocks and b"upgrade: websocket" in head.lower():
                writer.write(FORBIDDEN)
            else:
                answers, there = await asyncio.open_connection("127.0.0.1", self._to_port)
                there.write(head)
                await asyncio.gather(
                    _forward(reader, there, lambda: False),
                    _forward(answers, writer, lambda: self.loses_answers),
                )
        writer.close()


async def _forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, loses: Callable[[], bool]
) -> None:
    """Forward until the source ends."""
    lost = False
    with suppress(OSError):
        while data := await reader.read(65_536):
            lost = lost or loses()
            if not lost:
                writer.write(data)
                await writer.drain()
    writer.close()
