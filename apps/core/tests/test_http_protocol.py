"""Limits on what a client may send and hold before a view runs."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from pytest_django import Settings

from apps.core.http import protocol
from apps.core.http.protocol import HEAD_BYTES, PIPELINED
from apps.core.tests.raw import Serve, received, send, serving
from testing.server import ServerProcess

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
LONG = b"x" * HEAD_BYTES


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that serves an application and returns a function that connects to it."""
    with serving() as start:
        yield start


async def ok(scope: Any, receive: Any, send: Any) -> None:
    """Read the body and answer with the number of headers."""
    while (await receive()).get("more_body"):
        pass
    await answer(send, str(len(scope["headers"])).encode())


async def answer(send: Any, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def refused(connection: socket.socket) -> tuple[int, str]:
    """Return status and code of the refusal after which the server closes the connection."""
    head, _, body = received(connection).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert headers["connection"] == "close"
    assert headers["content-type"] == "application/json"
    refusal = json.loads(body)
    assert headers["x-request-id"] == refusal["meta"]["requestId"]
    assert refusal["success"] is False
    return int(lines[0].split(" ")[1]), refusal["code"]


def test_a_head_of_exactly_the_limit_is_served(serve: Serve) -> None:
    connection = serve(ok)()
    room = HEAD_BYTES - len(b"/" + b"Host: localhost\r\n" + b"Long: \r\n")
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nLong: " + b"x" * room + b"\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + LONG + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nLong: " + LONG + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * (HEAD_BYTES // 6) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + LONG + b": b\r\n\r\n",
    ],
    ids=["address", "header", "headers", "name"],
)
def test_a_head_over_the_limit_is_refused(serve: Serve, head: bytes) -> None:
    connection = serve(ok)()
    send(connection, head)
    assert refused(connection) == (431, "HEADERS_TOO_LARGE")


@pytest.mark.parametrize(
    "beginning",
    [b"GET /", b"GET / HTTP/1.1\r\nLong: ", b"GET / HTTP/1.1\r\n", b"\r\n" * HEAD_BYTES],
    ids=["address", "value", "name", "nothing"],
)
def test_a_head_that_never_ends_is_refused(serve: Serve, beginning: bytes) -> None:
    """The server answers while the head still goes on."""
    connection = serve(ok)()
    send(connection, beginning + LONG)
    assert refused(connection) == (431, "HEADERS_TOO_LARGE")


def test_a_client_that_sends_megabytes_can_read_the_refusal(serve: Serve) -> None:
    connection = serve(ok)()
    send(connection, b"GET /" + b"x" * 8_000_000)
    assert refused(connection) == (431, "HEADERS_TOO_LARGE")


@pytest.mark.parametrize(
    "odd",
    [
        b"Long: " + b"x" * 9000 + b"\r\n",
        b"a: b\r\n" * 200,
        b"Content-Length: 5\r\n",
        b"Odd: \xff\r\n",
    ],
    ids=["long line", "many lines", "body", "not ASCII"],
)
def test_an_odd_websocket_request_is_answered(serve: Serve, odd: bytes) -> None:
    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close"})

    connection = serve(refusing)()
    send(connection, UPGRADE + odd + b"\r\n")
    assert received(connection).startswith((b"HTTP/1.1 400", b"HTTP/1.1 403"))


def test_a_second_head_over_the_limit_is_refused(serve: Serve) -> None:
    connection = serve(ok)()
    connection.sendall(GET)
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    send(connection, b"GET /" + LONG + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert refused(connection) == (431, "HEADERS_TOO_LARGE")


@pytest.mark.parametrize(
    "rest",
    [
        b"0\r\nLong: " + LONG + b"\r\n\r\n",
        b"0\r\nLong: " + LONG + LONG,
        b"0\r\n" + b"a: b\r\n" * HEAD_BYTES,
        b"1;" + LONG + LONG,
        b"0" * 3 * HEAD_BYTES,
    ],
    ids=["trailer", "endless trailer", "trailers", "extension", "length"],
)
def test_chunk_headers_and_trailers_are_bounded(serve: Serve, rest: bytes) -> None:
    """The request is running already, so the client would take a refusal for its answer."""
    connection = serve(ok)()
    send(connection, CHUNKED + rest)
    assert received(connection) == b""


def test_a_body_in_many_small_parts_is_read(serve: Serve) -> None:
    connection = serve(ok)()
    connection.sendall(CHUNKED + b"1\r\nx\r\n" * HEAD_BYTES + b"0\r\nTrailer: x\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_input_that_is_not_http_is_refused_in_the_envelope(serve: Serve) -> None:
    connection = serve(ok)()
    send(connection, b"\x16\x03\x01 hello\r\n\r\n")
    assert refused(connection) == (400, "BAD_REQUEST")


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time-outs, so that no test waits for ten seconds."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.1)


def trickle(connection: socket.socket, byte: bytes) -> bytes:
    """Send the byte again and again until the server answers or closes; return its answer."""
    connection.settimeout(0.05)
    for _ in range(400):
        send(connection, byte)
        try:
            return connection.recv(65536)
        except TimeoutError:
            continue
        except ConnectionResetError:
            return b""
    raise AssertionError("The server read every byte.")


@pytest.mark.usefixtures("short_timeouts")
def test_a_slow_head_is_refused_while_bytes_still_come(serve: Serve) -> None:
    connection = serve(ok)()
    connection.sendall(b"GET / HTTP/1.1\r\nSlow: ")
    assert trickle(connection, b"x").startswith(b"HTTP/1.1 408")


@pytest.mark.usefixtures("short_timeouts")
def test_a_slow_second_head_is_refused(serve: Serve) -> None:
    connection = serve(ok)()
    connection.sendall(GET)
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    connection.sendall(b"GET / HTTP/1.1\r\nSlow: ")
    assert trickle(connection, b"x").startswith(b"HTTP/1.1 408")


@pytest.mark.usefixtures("short_timeouts")
def test_a_connection_without_a_request_is_closed_without_an_answer(serve: Serve) -> None:
    """A browser would take it for the answer to a request that it has not sent yet."""
    assert received(serve(ok)()) == b""


@pytest.mark.usefixtures("short_timeouts")
def test_a_body_that_the_application_does_not_read_must_end_soon(serve: Serve) -> None:
    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"")

    connection = serve(hasty)()
    connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert trickle(connection, b"x") == b""


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    connection = serve(ok)()
    requests = [b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * n + b"\r\n" for n in range(PIPELINED)]
    connection.sendall(b"".join(requests[:-1]) + requests[-1][:-2] + b"Connection: close\r\n\r\n")
    answers = received(connection).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [int(one.rpartition(b"\r\n\r\n")[2]) for one in answers] == [*range(15), 16]


def test_too_many_pipelined_requests_are_refused(serve: Serve) -> None:
    served = []
    disconnected = threading.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        served.append(scope)
        while (await receive())["type"] != "http.disconnect":
            pass
        disconnected.set()

    connection = serve(slow)()
    send(connection, GET * 1000)
    assert received(connection) == b""
    assert disconnected.wait(timeout=10)
    assert len(served) == 1


def test_a_client_that_does_not_read_is_disconnected(serve: Serve, settings: Settings) -> None:
    settings.SERVER_WRITE_TIMEOUT = 0.2
    aborted = threading.Event()

    async def verbose(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            part = {"type": "http.response.body", "body": b"x" * 500_000, "more_body": True}
            await send(part)
        aborted.set()

    connection = serve(verbose)()
    connection.sendall(GET)
    assert aborted.wait(timeout=10)


def test_server_that_stops_answers_the_request_that_is_on_its_way(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two idle connections, one is new, and the other has had an answer."""
    monkeypatch.setattr(protocol, "DRAIN_SECONDS", 20)
    draining = threading.Semaphore(0)
    shutdown = protocol.BoundedHttpProtocol.shutdown

    def drained(self: protocol.BoundedHttpProtocol) -> None:
        shutdown(self)
        draining.release()

    monkeypatch.setattr(protocol.BoundedHttpProtocol, "shutdown", drained)
    connect = serve(ok)
    new, used = connect(), connect()
    used.sendall(GET)
    used.recv(65536)
    serve.stop()
    assert draining.acquire(timeout=20)
    assert draining.acquire(timeout=20)
    for connection in (new, used):
        connection.sendall(GET)
        answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in answer.lower()


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_endless_heads_take_no_memory(start_server: Callable[..., ServerProcess]) -> None:
    """Forty connections send two megabytes each, and none of them completes a request."""
    server = start_server()
    before = server.resident_bytes()
    with ExitStack() as open_ones:
        for _ in range(40):
            address = ("127.0.0.1", server.port)
            connection = open_ones.enter_context(socket.create_connection(address, timeout=20))
            send(connection, b"GET / HTTP/1.1\r\nLong: " + b"x" * 2_000_000)
        assert server.call("GET", "/health").status_code == 200
        assert server.resident_bytes() - before < 20_000_000
