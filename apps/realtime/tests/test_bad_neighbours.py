"""Clients that do not read, or send too much, are disconnected and do not affect the others."""

import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.frames import Opcode

from apps.accounts.tests.people import Person
from apps.realtime.tests.factories import log_messages, log_posts
from testing.raw_socket import command, masked, raw_websocket
from testing.server import ServerProcess, until
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

# The smallest receive buffer that the system allows.
SMALLEST = 1
# More than systems buffer for a connection that nobody reads.
FLOOD_BYTES = 40_000_000
# The text of an event of 15 kB.
LONG = "x" * 15_000


def test_a_reader_that_stalls_until_the_ping_timeout_costs_no_other_socket_an_event(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    """It leaves a little unread in the server's buffer, so that the connection cannot close."""
    server = start_server(PARLEY_TAMPER="breathless,impatient", REDIS_URL="")
    with ExitStack() as opened:
        readers = [
            opened.enter_context(TestSocket(server.url, token=bob.access, max_queue=None))
            for _ in range(5)
        ]
        for reader in readers:
            reader.ask("subscribe", {"stream": "feed"})
        stalled = opened.enter_context(raw_websocket(server.port, alice.access, room=SMALLEST))
        stalled.sendall(command("subscribe", {"stream": "feed"}))
        until(lambda: server.open_sockets() == 6)
        sent, kept = 0, [-1]
        # Until three in a row stay in the server's buffer, too few to make it wait.
        while kept[-1] != kept[-4:][0] or len(kept) < 4:
            log_posts(1, tag=LONG)
            sent += 1
            readers[0].expect("post_published")
            kept.append(kept_for(server, stalled))
        until(lambda: server.open_sockets() == 5)
        log_posts(3, tag=LONG)
        for reader, seen in zip(readers, [sent, 0, 0, 0, 0], strict=True):
            got = [reader.expect("post_published")["seq"] for _ in range(sent + 3 - seen)]
            assert got == list(range(seen + 1, sent + 4))


def test_connected_is_always_the_first_frame(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    server = start_server(PARLEY_TAMPER="breathless,slow-heads")
    with TestSocket(server.url, token=alice.access) as alice_socket:
        alice_socket.expect("connected")
        # A frame that came earlier would still wait here.
        assert alice_socket.waiting == []


@pytest.mark.parametrize(
    ("first", "flood"),
    [
        (b"", masked(Opcode.PING, b"x" * 125)),
        (b"", masked(Opcode.PONG)),
        (masked(Opcode.TEXT, b"", fin=False), masked(Opcode.CONT, b"", fin=False)),
    ],
    ids=["pings", "pongs", "empty fragments"],
)
def test_a_flood_of_frames_below_the_application_is_disconnected(
    server: ServerProcess, alice: Person, first: bytes, flood: bytes
) -> None:
    with raw_websocket(server.port, alice.access) as alice_socket:
        alice_socket.sendall(first)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            alice_socket.sendall(flood * (FLOOD_BYTES // len(flood)))
    until(lambda: server.open_sockets() == 0)


def test_a_flood_is_closed_with_its_code(server: ServerProcess, alice: Person) -> None:
    with raw_websocket(server.port, alice.access) as alice_socket:
        alice_socket.sendall(masked(Opcode.PING) * 90)
        received = b""
        while part := alice_socket.recv(65536):
            received += part
        assert (4429).to_bytes(2) + b"too many frames" in received


def test_a_socket_that_does_not_read_its_close_frame_is_disconnected(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    """A transport that closes waits until the client has read all that is buffered."""
    server = start_server(PARLEY_TAMPER="brisk")
    with raw_websocket(server.port, alice.access, room=SMALLEST) as alice_socket:
        stream = f"user.{alice.id}"
        log_messages(alice.user.pk, 600, content=LONG)
        alice_socket.sendall(command("subscribe", {"stream": stream, "after": 0}))
        alice_socket.sendall(masked(Opcode.CLOSE, (1000).to_bytes(2)))
        until(lambda: server.open_sockets() == 0)
        until(lambda: established(server.port) == 0)


def bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.access}"}


def established(port: int) -> int:
    """Return how many connections to the port are open."""
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in kernel_table())


def kept_for(server: ServerProcess, client: socket.socket) -> int:
    """Return how many bytes that the client has not read the kernel buffers."""
    ends = (f":{server.port:04X}", f":{client.getsockname()[1]:04X}")
    [row] = [row for row in kernel_table() if row[1].endswith(ends[0]) and row[2].endswith(ends[1])]
    return int(row[4].partition(":")[0], 16)


def kernel_table() -> list[list[str]]:
    """Return the rows of the machine's TCP connections, which Linux shows in a file."""
    return [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
