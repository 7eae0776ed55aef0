"""A hop of the network that can fail: a TCP proxy on the event loop of the clients."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

CHUNK = 65536
# How long the other side has to take what it was sent before it is cut off.
TAKEN_SECONDS = 0.05


@dataclass
class CutAt:
    """What a client says when its connection is cut: before the other side receives it, or after
    that and before its answer; how many times more; and what it must have said before."""

    words: bytes
    before: bool
    times: int
    after: bytes = b""


class Connection:
    """One connection through a link: the two transports of it."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.writers = writers
        self.silent = False
        # The cut whose condition it has met.
        self.said: CutAt | None = None

    def abort(self) -> None:
        """Cut both sides at once, without what waits to be sent."""
        for writer in self.writers:
            writer.transport.abort()


class Link:
    """Forwards connections from a port of its own to another port of 127.0.0.1.

    `delay` is the seconds that each chunk of bytes waits, and `refuses` closes new connections.
    """

    def __init__(self, to_port: int) -> None:
        self.to_port = to_port
        self.port = 0
        self.delay = 0.0
        self.refuses = False
        self.cut_at: CutAt | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Link"]:
        """Serve until the end of the block."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Cut all connections."""
        for connection in tuple(self._connections):
            self._abort(connection)

    def fall_silent(self) -> None:
        """Have the present connections forward nothing any more, and tell neither side."""
        for connection in self._connections:
            connection.silent = True

    def stall(self) -> None:
        """Keep all bytes until they may flow again."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let bytes flow again, and new connections in, without a delay."""
        self._flowing.set()
        self.refuses, self.delay, self.cut_at = False, 0.0, None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:
            writer.transport.abort()
            return
        connection = Connection(writer, back)
        self._connections.add(connection)
        self._spawn(self._forward(connection, reader, back, asked=True))
        self._spawn(self._forward(connection, there, writer, asked=False))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(
        self,
        connection: Connection,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        *,
        asked: bool,
    ) -> None:
        try:
            while data := await source.read(CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._flowing.wait()
                if connection.silent:
                    continue
                if sink.is_closing():
                    # It was cut while these bytes waited.
                    return
                if asked and (cut := self._cut_now(connection, data)):
                    cut.times -= 1
                    await self._cut_at(connection, sink, b"" if cut.before else data)
                    return
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            # A half-open connection does not tell one side that the other is gone.
            if not connection.silent:
                self._abort(connection)

    def _cut_now(self, connection: Connection, data: bytes) -> CutAt | None:
        """Return the cut that what a client says now brings about."""
        cut = self.cut_at
        if cut is None or not cut.times:
            return None
        if cut.after in data:
            connection.said = cut
        return cut if connection.said is cut and cut.words in data else None

    async def _cut_at(
        self, connection: Connection, sink: asyncio.StreamWriter, data: bytes
    ) -> None:
        connection.silent = True
        sink.write(data)
        await asyncio.sleep(TAKEN_SECONDS)
        self._abort(connection)

    def _abort(self, connection: Connection) -> None:
        connection.abort()
        self._connections.discard(connection)
