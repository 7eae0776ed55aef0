"""Where mails and pushes arrive: a mail server and a push service that keep all they are sent."""

import asyncio
import re
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from apps.notifications.tests.push_service import Browser
from testing.chaos.journal import Arrived

LONGEST = 1024**2
# The title of a post is the client id under which it was sent, and what tells of it names it.
CLIENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Sink(ABC):
    """A server on a port of its own. `arrived` is all that it was sent, in that order."""

    def __init__(self) -> None:
        self.port = 0
        self.arrived: list[Arrived] = []
        self.tls: ssl.SSLContext | None = None
        self._came = asyncio.Event()
        self._answering = asyncio.Event()
        self._answering.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve until the end of the block."""
        server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=self.tls, limit=LONGEST
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    @contextmanager
    def unanswered(self) -> Iterator[asyncio.Event]:
        """Keep what comes in the block and do not answer before its end. Yields an event that is
        set once something has come."""
        self._came.clear()
        self._answering.clear()
        try:
            yield self._came
        finally:
            self._answering.set()

    async def _take(self, one: Arrived) -> None:
        """Keep something, and return when it may be answered."""
        self.arrived.append(one)
        self._came.set()
        await self._answering.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Who sends may be killed at any moment.
        with suppress(OSError, EOFError):
            await self._serve(reader, writer)
        writer.close()

    @abstractmethod
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer on a connection; raise OSError or EOFError when it ends."""


class MailServer(Sink):
    """Speaks as much SMTP as it takes to be sent a mail."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink\r\n")
        while line := (await reader.readline()).upper():
            if line.startswith(b"QUIT"):
                break
            if line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await self._take(_mail(await reader.readuntil(b"\r\n.\r\n")))
            writer.write(b"250 ok\r\n")
            await writer.drain()
        writer.write(b"221 bye\r\n")


def _mail(data: bytes) -> Arrived:
    found = message_from_bytes(data, policy=policy.SMTP)
    return Arrived("email", found["To"], _client_id(found["Subject"]), found["Message-ID"])


class PushService(Sink):
    """Speaks as much HTTPS as it takes to be sent a push."""

    def __init__(self, certificate: Path) -> None:
        super().__init__()
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate)
        # By the addresses of their users.
        self._browsers: dict[str, Browser] = {}

    def subscription(self, address: str) -> Mapping[str, Any]:
        """Return what the browser of a user says when it subscribes."""
        return self._browsers.setdefault(address, Browser(address)).subscription

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, _, head = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        length = message_from_bytes(head)["Content-Length"]
        address = first.split()[1].decode().removeprefix("/")
        message = self._browsers[address].read(await reader.readexactly(int(length)))
        await self._take(Arrived("push", address, _client_id(message["title"]), message["id"]))
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()


def _client_id(text: str) -> str:
    """Return what a text tells of, or the whole text if it tells of something else."""
    found = CLIENT_ID.search(text)
    return found[0] if found else text
