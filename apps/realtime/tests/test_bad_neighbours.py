"""Neighbours that stall or flood are cut off, and cost the others nothing."""

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

# As little room for what is sent as a system gives.
LITTLE = 1
# More than systems keep for a connection that nobody reads.
FLOOD_BYTES = 40_000_000
# What makes an event of 15 kB.
LONG = "x" * 15_000


def test_a_reader_that_stalls_until_it_is_taken_for_gone_costs_no_other_an_event(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    """It leaves a little unread in the server's own buffer, so that the connection cannot close."""
    server = start_server(PARLEY_TAMPER="breathless,impatient", REDIS_URL="")
    with ExitStack() as opened:
        readers = [
            opened.enter_context(TestSocket(server.url, token=bob.access, max_queue=None))
            for _ in range(5)
        ]
        for reader in readers:
            reader.ask("subscribe", {"stream": "feed"})
        stalled = opened.enter_context(raw_websocket(server.port, alice.access, room=LITTLE))
        stalled.sendall(command("subscribe", {"stream": "feed"}))
        until(lambda: server.open_sockets() == 6)
        told, kept = 0, [-1]
        # Until three in a row stay behind in the server, which is less than makes it wait.
        while kept[-1] != kept[-4:][0] or len(kept) < 4:
            log_posts(1, tag=LONG)
            told += 1
            readers[0].expect("post_published")
            kept.append(kept_for(server, stalled))
        until(lambda: server.open_sockets() == 5)
        log_posts(3, tag=LONG)
        for reader, seen in zip(readers, [told, 0, 0, 0, 0], strict=True):
            got = [reader.expect("post_published")["seq"] for _ in range(told + 3 - seen)]
            assert got == list(range(seen + 1, told + 4))


def test_the_first_frame_is_always_the_welcome(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    server = start_server(PARLEY_TAMPER="breathless,slow-heads")
    with TestSocket(server.url, token=alice.access) as hers:
        hers.expect("connected")
        # A frame that came earlier would still wait to be asked for.
        assert hers.waiting == []


@pytest.mark.parametrize(
    ("first", "flood"),
    [
        (b"", masked(Opcode.PING, b"x" * 125)),
        (b"", masked(Opcode.PONG)),
        (masked(Opcode.TEXT, b"", fin=False), masked(Opcode.CONT, b"", fin=False)),
    ],
    ids=["pings", "pongs", "empty fragments"],
)
def test_a_flood_of_frames_that_no_application_sees_is_cut_off(
    server: ServerProcess, alice: Person, first: bytes, flood: bytes
) -> None:
    with raw_websocket(server.port, alice.access) as hers:
        hers.sendall(first)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            hers.sendall(flood * (FLOOD_BYTES // len(flood)))
    until(lambda: server.open_sockets() == 0)


def test_a_flood_is_answered_with_its_close_code(server: ServerProcess, alice: Person) -> None:
    with raw_websocket(server.port, alice.access) as hers:
        hers.sendall(masked(Opcode.PING) * 90)
        received = b""
        while part := hers.recv(65536):
            received += part
        assert (4429).to_bytes(2) + b"too many frames" in received


def test_a_socket_that_does_not_read_its_close_is_hung_up_on(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    """A transport that closes waits for its reader, with all that is buffered for it."""
    server = start_server(PARLEY_TAMPER="brisk")
    with raw_websocket(server.port, alice.access, room=LITTLE) as hers:
        stream = f"user.{alice.id}"
        log_messages(alice.user.pk, 600, content=LONG)
        hers.sendall(command("subscribe", {"stream": stream, "after": 0}))
        hers.sendall(masked(Opcode.CLOSE, (1000).to_bytes(2)))
        until(lambda: server.open_sockets() == 0)
        until(lambda: established(server.port) == 0)


def bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.access}"}


def established(port: int) -> int:
    """Return how many connections to the port are open."""
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in kernel_table())


def kept_for(server: ServerProcess, client: socket.socket) -> int:
    """Return how many bytes the kernel keeps for a client that has not read them."""
    ends = (f":{server.port:04X}", f":{client.getsockname()[1]:04X}")
    [row] = [row for row in kernel_table() if row[1].endswith(ends[0]) and row[2].endswith(ends[1])]
    return int(row[4].partition(":")[0], 16)


def kernel_table() -> list[list[str]]:
    """Return the rows of the machine's TCP connections. Only Linux tells them in a file."""
    return [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
