"""Many websockets at little cost for the machine: raw sockets, frames parsed by hand."""

import resource
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Self

CONTINUATION, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA
# The server needs its database for each handshake; more at once would only wait in its queues.
IN_FLIGHT = 32
UPGRADED = b"HTTP/1.1 101"
ERROR = b'{"type":"error"'


class Refused(Exception):
    """The server refused a socket, or closed it."""


class Client:
    """One websocket."""

    __slots__ = ("connection", "greeting", "rest", "upgraded")

    def __init__(self, port: int, token: str, greeting: Sequence[tuple[bytes, str]]) -> None:
        self.greeting = deque(greeting)
        self.rest = b""
        self.upgraded = False
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bearer = f"Authorization: Bearer {token}\r\n" if token else ""
        self.connection.sendall(
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{bearer}"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        self.connection.setblocking(False)

    def send(self, text: str) -> None:
        """Send a text frame."""
        self.connection.send(frame(TEXT, text.encode()))

    def receive(self) -> list[bytes]:
        """Return the texts that have arrived; the first is the head of the server's response."""
        data = self.connection.recv(65536)
        if not data:
            raise Refused("The server closed a socket.")
        if self.rest:
            data = self.rest + data
        if not self.upgraded:
            return self._read_head(data)
        frames, self.rest = split(data)
        return [
            payload
            for opcode, payload in frames
            if opcode == TEXT or self._handle_control(opcode, payload)
        ]

    def _read_head(self, data: bytes) -> list[bytes]:
        head, end, self.rest = data.partition(b"\r\n\r\n")
        if not end:
            self.rest = data
            return []
        if not head.startswith(UPGRADED):
            raise Refused(data.decode(errors="replace"))
        self.upgraded = True
        frames, self.rest = split(self.rest)
        return [head, *(payload for opcode, payload in frames if opcode == TEXT)]

    def _handle_control(self, opcode: int, payload: bytes) -> bool:
        """Answer a control frame; return False, since it has no text for the benchmark."""
        if opcode == PING:
            self.connection.send(frame(PONG, payload))
        elif opcode == CLOSE:
            raise Refused(f"The server closed a socket: {payload!r}")
        return False


class Crowd:
    """Many websockets on one server, in one selector."""

    def __init__(self, port: int) -> None:
        self.clients: list[Client] = []
        self._port = port
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Close all sockets."""
        for client in self.clients:
            client.connection.close()
        self.clients.clear()
        self._selector.close()
        self._selector = selectors.DefaultSelector()

    def join(
        self,
        tokens: Sequence[str],
        greeting: Sequence[tuple[bytes, str]] = (),
        at_once: int = IN_FLIGHT,
    ) -> None:
        """Open a socket with each token, `at_once` at a time.

        `greeting` is how each of them begins: the first bytes of a frame to wait for, and what to
        send after it, if anything.
        """
        self.join_each([(token, greeting) for token in tokens], at_once)

    def join_each(
        self, given: Sequence[tuple[str, Sequence[tuple[bytes, str]]]], at_once: int = IN_FLIGHT
    ) -> None:
        """Open a socket with each token, which begins as the greeting with it says."""
        waiting, begun = deque(given), 0
        while waiting or begun:
            while waiting and begun < at_once:
                token, greeting = waiting.popleft()
                client = Client(self._port, token, [(UPGRADED, ""), *greeting])
                self.clients.append(client)
                self._selector.register(client.connection, selectors.EVENT_READ, client)
                begun += 1
            for client, text in self.poll(1):
                if client.greeting and text.startswith(client.greeting[0][0]):
                    _, reply = client.greeting.popleft()
                    if reply:
                        client.send(reply)
                    begun -= not client.greeting
                elif client.greeting and text.startswith(ERROR):
                    raise Refused(text.decode())

    def poll(self, timeout: float) -> Iterator[tuple[Client, bytes]]:
        """Yield the texts that arrive, after at most `timeout` seconds for the first of them."""
        for key, _ in self._selector.select(timeout):
            client: Client = key.data
            for text in client.receive():
                yield client, text

    def idle(self, seconds: float) -> None:
        """Receive for so long and ignore what arrives."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for _ in self.poll(left):
                pass


def allow_open_files(count: int) -> int:
    """Raise the limit of open files of this process and of those it starts, as far as it goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(soft, allowed)


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the whole frames that the data begins with, each with its opcode, and the rest."""
    frames, at, end = [], 0, len(data)
    while end - at >= 2:
        length, body = data[at + 1], at + 2
        if length == 126:
            length, body = int.from_bytes(data[at + 2 : at + 4]), at + 4
        elif length == 127:
            length, body = int.from_bytes(data[at + 2 : at + 10]), at + 10
        if body + length > end:
            break
        frames.append((data[at] & 0x0F, data[body : body + length]))
        at = body + length
    return frames, data[at:]


def frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """Return a client's frame of at most 65,535 bytes (RFC 6455, 5.2)."""
    # A mask of zeros is a mask, and leaves the payload as it is.
    length = len(payload)
    head = struct.pack("!BB", final << 7 | opcode, 0x80 | min(length, 126))
    return head + (struct.pack("!H", length) if length > 125 else b"") + bytes(4) + payload
