"""Clients on connections of their own, each from an address of its own, as there are in life."""

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
# The least that a system lets a client set its buffer to, so that who does not read is full soon.
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
class Answer:
    """What a server answered to one request."""

    status: int
    head: bytes
    body: bytes


class Browser:
    """An HTTP client with one connection, which it keeps as long as the server does."""

    def __init__(self, port: int, address: str) -> None:
        self._port = port
        self._address = address
        self._streams: Streams | None = None

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Return the answer; raise OSError or EOFError when there is none."""
        lines = {"Host": f"{SERVER}:{self._port}", "Content-Length": str(len(body))}
        head = "".join(
            f"{name}: {value}\r\n" for name, value in (lines | dict(headers or {})).items()
        )
        request = f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body
        kept = self._streams is not None
        try:
            return await self._exchange(request)
        except (OSError, EOFError):
            if not kept:
                raise
            # An idle connection may be closed at the very moment in which it is used again.
            return await self._exchange(request)

    async def _exchange(self, request: bytes) -> Answer:
        try:
            if self._streams is None:
                self._streams = await dial(self._port, self._address)
            reader, writer = self._streams
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
        except BaseException:
            self.close()
            raise
        if length is None or b"\r\nconnection: close" in head.lower():
            self.close()
        return Answer(int(head[9:12]), head, body)

    def close(self) -> None:
        """Hang up."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()


def listening_socket(port: int, address: str, token: str) -> connect:
    """Return a websocket of somebody who behaves, to be opened by `async with`."""
    return connect(
        f"ws://{SERVER}:{port}/ws",
        additional_headers={"Authorization": f"Bearer {token}"},
        local_addr=(address, 0),
        compression=None,
        # The server asks often enough.
        ping_interval=None,
        close_timeout=1,
    )


class NotLetIn(OSError):
    """A websocket was not opened."""


class DeafSocket:
    """A websocket that reads nothing from the moment on in which it is open."""

    # How long it reads in the end to learn what has become of it.
    LISTEN_SECONDS = 3.0
    SILENCE = 0.5

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, port: int, address: str, token: str) -> "DeafSocket":
        """Return an open one; raise NotLetIn, or another OSError."""
        deaf = cls(await connected(port, address, receive_buffer=SMALL_BUFFER))
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await deaf.write(
                    f"GET /ws HTTP/1.1\r\nHost: {SERVER}:{port}\r\n"
                    f"Authorization: Bearer {token}\r\n"
                    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
                )
                head = await deaf._read_head()
            if not head.startswith(b"HTTP/1.1 101"):
                raise NotLetIn(f"answered {head[9:12].decode()}" if head else "hung up on")
        except BaseException:
            deaf._connection.close()
            raise
        return deaf

    async def _read_head(self) -> bytes:
        """Return the server's answer and nothing that comes behind it."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = await self._loop.sock_recv(self._connection, 1)
            if not byte:
                break
            head += byte
        return head

    async def write(self, frames: bytes) -> None:
        """Send frames; wait while the server does not take them, raise OSError when it is gone."""
        await self._loop.sock_sendall(self._connection, frames)

    async def fate(self) -> str:
        """Read at last, hang up, and return what the server has made of the socket."""
        heard, over = bytearray(), False
        until = time.perf_counter() + self.LISTEN_SECONDS
        try:
            while not over and time.perf_counter() < until:
                async with asyncio.timeout(self.SILENCE):
                    data = await self._loop.sock_recv(self._connection, 1 << 20)
                heard += data
                over = not data
        except TimeoutError:
            pass
        except OSError:
            over = True
        finally:
            self._connection.close()
        closes = [payload for opcode, payload in split(bytes(heard))[0] if opcode == CLOSE]
        if closes:
            return f"closed with {int.from_bytes(closes[-1][:2])}"
        return "hung up on" if over else "left connected"
