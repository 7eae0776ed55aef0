"""A websocket client that does what libraries do not: it reads nothing, and sends any bytes."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from websockets.frames import Frame, Opcode

from testing.frames import check_command


def raw_websocket(port: int, token: str, *, room: int | None = None) -> "closing[socket.socket]":
    """Return a context manager that yields a connection with an open websocket.

    `room` is the size of its receive buffer in bytes, which limits what the server can send while
    the test does not read. Raises ConnectionRefusedError when the server refuses the websocket.
    """
    connection = socket.socket()
    if room is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", port))
    connection.sendall(upgrade_request(port, token))
    head = response_head(connection)
    if not head.startswith(b"HTTP/1.1 101"):
        connection.close()
        raise ConnectionRefusedError(head.decode())
    return closing(connection)


def upgrade_request(port: int, token: str) -> bytes:
    """Return the request by which a client asks for a websocket."""
    return (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def response_head(connection: socket.socket) -> bytes:
    """Return the head of a response, or what there is of it if the server closes the connection."""
    head = b""
    while b"\r\n\r\n" not in head:
        # One byte at a time, so that no byte of the first frame is read.
        byte = connection.recv(1)
        if not byte:
            break
        head += byte
    return head


def received_frames(connection: socket.socket) -> Iterator[tuple[Opcode, bytes]]:
    """Yield the frames that the server sends, until it ends the connection (RFC 6455, 5.2)."""
    with connection.makefile("rb") as stream:
        while head := stream.read(2):
            length = head[1] & 127
            if length > 125:
                length = int.from_bytes(stream.read(2 if length == 126 else 8))
            yield Opcode(head[0] & 15), stream.read(length)


def masked(opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """Return a frame as a client sends it."""
    return Frame(opcode, payload, fin).serialize(mask=True)


def command(kind: str, data: Any) -> bytes:
    """Return a text frame with a command."""
    frame = {"type": kind, "data": data}
    check_command(frame)
    return masked(Opcode.TEXT, json.dumps(frame).encode())
