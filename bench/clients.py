"""Clients with a connection and an address of their own, like clients on the internet."""

import asyncio
import base64
import re
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

from websockets.asyncio.client import connect

from bench.sockets import CLOSE, split

SERVER = "127.0.0.1"
CONNECT_SECONDS = 5.0
# The smallest receive buffer that the system allows, so that it is full soon if nobody reads.
SMALL_BUFFER = 2048

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connected(port: int, address: str, *, receive_buffer: int = 0) -> socket.socket:
    """Return a socket to the server that comes from the address, one of Linux's 127.0.0.0/8."""
    connection = socket.socket()
    try:
        connection.setblocking(False)
        connection.bind((address, 0))
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(connection, (SERVER, port))
    except BaseException:
        connection.close()
        raise
    return connection


async def dial(port: int, address: str) -> Streams:
    """Return the two directions of a connection that comes from the address."""
    return await asyncio.open_connection(sock=await connected(port, address))


@dataclass(frozen=True)
class Response:
    """The response to one request."""

    status: int
    head: bytes
    body: bytes


class Browser:
    """An HTTP client with one connection, which it keeps as long as the server does."""

    def __init__(self, port: int, address: str) -> None:
        self._port = port
        self._address = address
        self._streams: Streams | None = None

    async def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Response:
        """Return the response; raise OSError or EOFError if there is none."""
        lines = {"Host": f"{SERVER}:{self._port}", "Content-Length": str(len(body))}
        head = "".join(
            f"{name}: {value}\r\n" for name, value in (lines | dict(headers or {})).items()
        )
        sent = f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body
        kept = self._streams is not None
        try:
            return await self._exchange(sent)
        except (OSError, EOFError):
            if not kept:
                raise
            # The server may close an idle connection at the moment at which it is used again.
            return await self._exchange(sent)

    async def _exchange(self, sent: bytes) -> Response:
        try:
            if self._streams is None:
                self._streams = await dial(self._port, self._address)
            reader, writer = self._streams
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
        except BaseException:
            self.close()
            raise
        if length is None or b"\r\nconnection: close" in head.lower():
            self.close()
        return Response(int(head[9:12]), head, body)

    def close(self) -> None:
        """Close the connection."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()


def open_socket(port: int, address: str, token: str) -> connect:
    """Return a websocket of a client that behaves; `async with` opens it."""
    return connect(
        f"ws://{SERVER}:{port}/ws",
        additional_headers={"Authorization": f"Bearer {token}"},
        local_addr=(address, 0),
        compression=None,
        # The server pings often enough.
        ping_interval=None,
        close_timeout=1,
    )


class NotOpened(OSError):
    """The server did not open a websocket."""


class StalledSocket:
    """A websocket that reads nothing once it is open."""

    # How long outcome() reads, and the silence after which it stops, in seconds.
    READ_SECONDS = 3.0
    SILENCE = 0.5

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, port: int, address: str, token: str) -> "StalledSocket":
        """Return an open websocket; raise NotOpened, or another OSError."""
        stalled = cls(await connected(port, address, receive_buffer=SMALL_BUFFER))
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await stalled.write(
                    f"GET /ws HTTP/1.1\r\nHost: {SERVER}:{port}\r\n"
                    f"Authorization: Bearer {token}\r\n"
                    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
                )
                head = await stalled._read_head()
            if not head.startswith(b"HTTP/1.1 101"):
                raise NotOpened(f"answered {head[9:12].decode()}" if head else "hung up on")
        except BaseException:
            stalled._connection.close()
            raise
        return stalled

    async def _read_head(self) -> bytes:
        """Return the head of the server's response and nothing that follows it."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = await self._loop.sock_recv(self._connection, 1)
            if not byte:
                break
            head += byte
        return head

    async def write(self, frames: bytes) -> None:
        """Send frames; wait while the server takes none; raise OSError if it has hung up."""
        await self._loop.sock_sendall(self._connection, frames)

    async def outcome(self) -> str:
        """Read what is left, close the connection, and return how the server ended it."""
        received, over = bytearray(), False
        until = time.perf_counter() + self.READ_SECONDS
        try:
            while not over and time.perf_counter() < until:
                async with asyncio.timeout(self.SILENCE):
                    data = await self._loop.sock_recv(self._connection, 1 << 20)
                received += data
                over = not data
        except TimeoutError:
            pass
        except OSError:
            over = True
        finally:
            self._connection.close()
        closes = [payload for opcode, payload in split(bytes(received))[0] if opcode == CLOSE]
        if closes:
            return f"closed with {int.from_bytes(closes[-1][:2])}"
        return "hung up on" if over else "left connected"
