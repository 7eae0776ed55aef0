"""Bytes that no library sends. The server answers as documented and goes on: it serves other
clients meanwhile, keeps nothing, and does not fail."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from websockets.frames import Opcode

from apps.accounts.tests.people import Person
from apps.realtime.tests.malformed_input import FRAMES, REQUESTS, text
from testing.raw_socket import (
    masked,
    raw_websocket,
    received_frames,
    response_head,
    upgrade_request,
)
from testing.server import ServerProcess, until

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

# How much more memory the server may use than before the first case, in bytes.
MOST_GROWTH = 32 * 2**20
NEXT_PING = text('{"type": "ping", "requestId": "next"}')
# Any of these may reach the server with the request, while it authenticates, or after that.
EARLY = [b"\xff" * 10, masked(Opcode.PING), masked(Opcode.CLOSE), text("{")]


def test_the_server_answers_malformed_input_and_goes_on(
    start_server: Callable[..., ServerProcess],
    subtests: pytest.Subtests,
    alice: Person,
    bob: Person,
) -> None:
    """Alice sends all of it, and Bob connects after each case."""
    server = start_server()
    health = Health(server, bob)
    for name, (sent, expected) in FRAMES.items():
        with subtests.test(frame=name):
            assert answers_to_frames(server.port, alice.access, sent) == expected
            health.check()
    for name, (part, instead, status) in REQUESTS.items():
        with subtests.test(request=name):
            request = upgrade_request(server.port, alice.access).replace(part, instead, 1)
            assert status_of(server.port, request) == status
            health.check()
    with subtests.test("frames before the socket is open"):
        for frame in EARLY * 5:
            send_early(server.port, alice.access, frame)
        health.check()
    with subtests.test("half a frame"), raw_websocket(server.port, alice.access) as silent:
        silent.sendall(b"\x81\xfe\x00")
        health.check()
    # Alice may have ten sockets, so that all others but a few were closed already.
    until(lambda: server.open_sockets() == 0)
    server.stop()
    assert "Traceback" not in server.log.read_text()


def answers_to_frames(port: int, token: str, sent: bytes) -> list[str]:
    """Return what answers the bytes; see answers()."""
    with raw_websocket(port, token) as connection:
        received = answers(connection)
        assert next(received) == "connected"
        connection.sendall(sent + NEXT_PING)
        return [*received]


def status_of(port: int, request: bytes) -> int:
    """Return the status that answers a request for a websocket; 0 if there is no answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        head = response_head(connection)
        if head.startswith(b"HTTP/1.1 101"):
            assert next(answers(connection)) == "connected"
        return int(head[9:12] or 0)


def send_early(port: int, token: str, frame: bytes) -> None:
    """Send a frame while the server authenticates the client, and wait for its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(upgrade_request(port, token))
        with suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(frame)
            connection.recv(1)


class Health:
    """What must be true of a server after each case."""

    def __init__(self, server: ServerProcess, bob: Person) -> None:
        self._server = server
        self._bob = bob
        self._memory = server.resident_bytes()
        self._logged = 0

    def check(self) -> None:
        """Fail unless the server serves Bob, within its memory and without a traceback."""
        with raw_websocket(self._server.port, self._bob.access) as bob_socket:
            assert next(answers(bob_socket)) == "connected"
        log = self._server.log.read_text()[self._logged :]
        self._logged += len(log)
        assert "Traceback" not in log
        assert self._server.resident_bytes() - self._memory < MOST_GROWTH


def answers(connection: socket.socket) -> Iterator[str]:
    """Yield what the server sends, until it has answered NEXT_PING or closed the socket: the
    type of each frame, with the code of an error or a close."""
    with suppress(ConnectionResetError):
        for opcode, payload in received_frames(connection):
            if opcode is Opcode.CLOSE:
                yield f"close {int.from_bytes(payload[:2])}" if payload else "close"
                return
            elif opcode is not Opcode.TEXT:
                yield opcode.name
            else:
                frame = json.loads(payload)
                yield " ".join(filter(None, [frame["type"], frame["data"].get("code", "")]))
                if frame.get("requestId") == "next":
                    return
