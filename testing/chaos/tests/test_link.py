"""A link fails as it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from testing.chaos.link import CutAt, Link


class Server:
    """Says in capital letters what it is told, and remembers it."""

    def __init__(self) -> None:
        self.told = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while data := await reader.read(1000):
            self.told += data
            writer.write(data.upper())
        writer.close()


class Client:
    """One connection through a link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def tell(self, words: bytes) -> None:
        self._writer.write(words)

    async def answer(self) -> bytes:
        """Return the answer, or nothing from a connection that was cut."""
        try:
            return await self._reader.read(1000)
        except ConnectionResetError:
            return b""

    async def ask(self, words: bytes) -> bytes:
        self.tell(words)
        return await self.answer()


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Server, Link, Client]]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with Link(listening.sockets[0].getsockname()[1]).open() as link:
        client = Client(*await asyncio.open_connection("127.0.0.1", link.port))
        assert await client.ask(b"ahoy") == b"AHOY"
        yield server, link, client
    listening.close()


async def hears_nothing(client: Client) -> bool:
    try:
        async with asyncio.timeout(0.1):
            await client.answer()
    except TimeoutError:
        return True
    return False


async def stalls() -> None:
    async with linked() as (_, link, client):
        link.stall()
        client.tell(b"wait")
        assert await hears_nothing(client)
        link.flow()
        assert await client.answer() == b"WAIT"


async def falls_silent() -> None:
    async with linked() as (server, link, client):
        link.fall_silent()
        client.tell(b"hello?")
        assert await hears_nothing(client)
        assert server.told == b"ahoy"
        other = Client(*await asyncio.open_connection("127.0.0.1", link.port))
        assert await other.ask(b"hello") == b"HELLO"


async def is_cut() -> None:
    async with linked() as (_, link, client):
        link.cut()
        assert await client.answer() == b""


async def refuses() -> None:
    async with linked() as (_, link, _):
        link.refuses = True
        other = Client(*await asyncio.open_connection("127.0.0.1", link.port))
        assert await other.ask(b"hello") == b""


async def cuts_before() -> None:
    async with linked() as (server, link, client):
        link.cut_at = CutAt(b"COMMIT", before=True, times=1)
        assert await client.ask(b"COMMIT") == b""
        assert server.told == b"ahoy"


async def cuts_after() -> None:
    async with linked() as (server, link, client):
        link.cut_at = CutAt(b"COMMIT", before=False, times=1)
        assert await client.ask(b"COMMIT") == b""
        assert server.told == b"ahoyCOMMIT"


async def cuts_once_something_was_said() -> None:
    async with linked() as (_, link, client):
        link.cut_at = CutAt(b"COMMIT", before=False, times=1, after=b"INSERT")
        assert await client.ask(b"COMMIT") == b"COMMIT"
        assert await client.ask(b"INSERT") == b"INSERT"
        assert await client.ask(b"COMMIT") == b""


async def delays() -> None:
    async with linked() as (_, link, client):
        link.delay = 0.05
        began = asyncio.get_running_loop().time()
        assert await client.ask(b"slowly") == b"SLOWLY"
        assert asyncio.get_running_loop().time() - began >= 0.1


@pytest.mark.parametrize(
    "behaves",
    [
        *(stalls, falls_silent, is_cut, refuses, cuts_before, cuts_after),
        *(cuts_once_something_was_said, delays),
    ],
)
def test_a_link_fails_as_it_is_told_to(behaves: object) -> None:
    assert callable(behaves)
    asyncio.run(behaves())
