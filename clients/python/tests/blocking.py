"""A proxy as some companies have it: HTTP passes, and websockets do not."""

import asyncio
from contextlib import suppress
from typing import Self

FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BlockingProxy:
    """Forwards connections to a port of 127.0.0.1, without websockets while it is `blocked`."""

    def __init__(self, to_port: int) -> None:
        self.blocked = False
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
            if self.blocked and b"upgrade: websocket" in head.lower():
                writer.write(FORBIDDEN)
            else:
                there_reader, there = await asyncio.open_connection("127.0.0.1", self._to_port)
                there.write(head)
                await asyncio.gather(forward(reader, there), forward(there_reader, writer))
        writer.close()


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward until the source ends."""
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
