"""Requests that the protocol answers from kept bytes, and those that the application answers."""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from django.db import OperationalError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apps.core.errors import Busy
from apps.core.http import hot_reads
from apps.core.http.answering_protocol import answer_hot_reads
from apps.core.http.hot_reads import HotRead, HotReads, HotRoute, Shown
from apps.core.http.repeated_heads import repeated_heads
from apps.core.tests.raw import Connect, received, send, serving
from apps.realtime.transport import UVICORN
from testing.server import until

LARGE = "x" * 200_000


class Things:
    """Things to read. Their loads wait while they are held."""

    def __init__(self) -> None:
        self.loaded: list[Sequence[str]] = []
        self.failure: Exception | None = None
        self.held = threading.Event()
        self.held.set()

    def load(self, keys: Sequence[str]) -> Mapping[str, Shown]:
        """Return the things, without those whose names say that there are none."""
        self.loaded.append(keys)
        self.held.wait(20)
        if self.failure:
            raise self.failure
        content = {key: LARGE if key == "large" else key for key in keys if key != "none"}
        return {key: Shown(f'"{text}"'.encode(), (key,)) for key, text in content.items()}


@pytest.fixture
def things(settings: Any) -> Iterator[Things]:
    settings.CACHE_SECONDS = 60
    made = Things()
    route = HotRoute(
        name="thing",
        template="/api/things/{name}",
        find=re.compile(r"^/api/things/(?P<name>\w+)$").search,
        message="Here it is",
        allow="GET, HEAD",
        read=HotRead(key=lambda path, _: path["name"], load=made.load),
    )
    answer_hot_reads(HotReads([route], asyncio.to_thread, lambda token: None))
    yield made
    made.held.set()
    answer_hot_reads(None)
    repeated_heads.forget()


@pytest.fixture
def connect(things: Things) -> Iterator[Connect]:
    """A function that connects to a server whose application answers "the view"."""
    with serving() as serve:
        yield serve(view)


async def view(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    body = b"the refusal" if scope.get("parley.refusal") else b"the view"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def get(name: str, *lines: str, version: str = "1.1") -> bytes:
    """Return a request for a thing."""
    head = [f"GET /api/things/{name} HTTP/{version}", "Host: localhost", *lines]
    return "\r\n".join([*head, "", ""]).encode()


LAST = get("last", "Connection: close")


def answers(connection: socket.socket) -> list[str]:
    """Return which things were shown, and "view" for each answer of the application, in their
    order, until the server closes the connection."""
    found = re.findall(rb'"data":"(\w+)"|the (view|refusal)', received(connection))
    return [(thing or by_view).decode() for thing, by_view in found]


def test_requests_in_one_packet_are_answered_in_their_order(
    connect: Connect, things: Things
) -> None:
    connection = connect()
    names = ["a", "b", "none", "a", "a", "b"]
    send(connection, b"".join(map(get, names)) + LAST)
    assert answers(connection) == ["a", "view", "view", "view", "view", "view", "view"]
    again = connect()
    send(again, get("a") * 3 + get("a", "Content-Length: 0") + get("a") + LAST)
    assert answers(again) == ["a", "a", "a", "view", "view", "view"]


def test_hundred_requests_of_one_moment_load_once(connect: Connect, things: Things) -> None:
    things.held.clear()
    connections = [connect() for _ in range(100)]
    for connection in connections:
        send(connection, get("a"))
    while not things.loaded:
        pass
    things.held.set()
    for connection in connections:
        send(connection, LAST)
    assert [answers(connection) for connection in connections] == [["a", "view"]] * 100
    assert things.loaded == [["a"]]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The addresses of the requests that the parser sees."""
    seen: list[bytes] = []
    of_uvicorn = HttpToolsProtocol.on_url

    def on_url(self: HttpToolsProtocol, url: bytes) -> None:
        seen.append(url)
        of_uvicorn(self, url)

    monkeypatch.setattr(HttpToolsProtocol, "on_url", on_url)
    return seen


def ask(connection: socket.socket, request: bytes) -> bytes:
    """Send a request in a packet of its own, and return its response."""
    connection.sendall(request)
    found = b""
    while not is_complete(found):
        found += connection.recv(65536)
    return found


def head_of(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[0]


def is_complete(response: bytes) -> bool:
    head, end, body = response.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def test_repeated_head_is_not_parsed_again(connect: Connect, parsed: list[bytes]) -> None:
    first, second = connect(), connect()
    for name in "ab":
        ask(first, get(name))
    shown = [ask(one, get(name)) for one in (first, second) for name in "aaba"]
    assert b"".join(re.findall(rb'"data":"(\w)"', b"".join(shown))) == b"aabaaaba"
    heads = {re.sub(rb"\r\n(date|x-request-id): .*", b"", head_of(one)) for one in shown}
    assert len(heads) == 1
    assert parsed == [b"/api/things/a", b"/api/things/b"]


def test_parser_sees_what_differs_in_more_than_its_first_line(
    connect: Connect, parsed: list[bytes]
) -> None:
    connection = connect()
    ask(connection, get("a"))
    for request in (
        get("a", "Accept: */*"),
        get("a", version="1.0").replace(b"HTTP/1.0", b"HTTP/1.1 "),
        b"\r\n" + get("a"),
        get("a") + get("a"),
        get("a", "Content-Length: 5") + b"GET /",
    ):
        connection = connect()
        ask(connection, get("a"))
        parsed.clear()
        send(connection, request + LAST)
        received(connection)
        assert parsed[0] == b"/api/things/a", request


def test_rest_of_a_repeated_head_may_arrive_later(connect: Connect, parsed: list[bytes]) -> None:
    connection = connect()
    for _ in range(2):
        ask(connection, get("a"))
    whole = get("a")
    for cut in (1, 20, len(whole) - 1):
        connection.sendall(whole[:cut])
        until(lambda: len(parsed) > 0)
        assert b'"data":"a"' in ask(connection, whole[cut:])
    send(connection, LAST)
    assert answers(connection) == ["view"]


def test_body_that_repeats_a_request_is_a_body(connect: Connect, parsed: list[bytes]) -> None:
    connection = connect()
    ask(connection, get("a"))
    body = get("a")
    connection.sendall(get("a", f"Content-Length: {len(body)}").replace(b"GET", b"POST", 1))
    until(lambda: len(parsed) == 2)
    connection.sendall(body)
    send(connection, LAST)
    assert answers(connection) == ["view", "view"]


def test_repeated_head_of_what_is_not_kept_is_loaded(connect: Connect, things: Things) -> None:
    connection = connect()
    shown = [ask(connection, get(name)) for name in ("a", "a", "b", "none", "a")]
    assert [b"the view" in one for one in shown] == [False, False, False, True, False]
    assert things.loaded == [["a"], ["b"], ["none"]]


def test_connection_is_closed_a_while_after_the_last_answer(
    things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UVICORN, "timeout_keep_alive", 1)
    with serving() as serve:
        connect = serve(view)
        connection = connect()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert b'"data":"a"' in ask(connection, get("a"))
        # The parser sees no request of this one.
        other = connect()
        assert b'"data":"a"' in ask(other, get("a"))
        assert received(connection) == received(other) == b""


@pytest.mark.parametrize(
    "request_",
    [
        get("a", "Connection: close"),
        get("a", version="1.0"),
        get("a", "Content-Length: 0", "Connection: close"),
        get("a", "Accept: text/html", "Connection: close"),
        get("a", "Host: localhost", "Connection: close"),
        get("a", "Authorization: Bearer unknown", "Connection: close"),
        get("a", f"User-Agent: {'x' * 600}", "Connection: close"),
        get("none") + LAST,
        get("other/path") + LAST,
    ],
    ids=["close", "1.0", "body", "type", "two hosts", "token", "long", "not found", "no route"],
)
def test_application_answers_what_is_not_for_kept_bytes(
    connect: Connect, things: Things, request_: bytes
) -> None:
    known = connect()
    send(known, get("a"))
    known.recv(65536)
    connection = connect()
    send(connection, request_)
    assert set(answers(connection)) == {"view"}


@pytest.mark.parametrize(
    ("failure", "answer"),
    [(RuntimeError(), "view"), (Busy(), "refusal"), (OperationalError(), "refusal")],
)
def test_application_answers_when_the_load_fails(
    connect: Connect, things: Things, failure: Exception, answer: str
) -> None:
    things.failure = failure
    connection = connect()
    send(connection, get("a") + LAST)
    assert answers(connection) == [answer, "view"]


def test_client_that_leaves_while_its_answer_is_loaded_is_logged_and_costs_others_nothing(
    connect: Connect, things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[int] = []
    monkeypatch.setattr(hot_reads, "log_request", lambda **line: logged.append(line["status"]))
    things.held.clear()
    leaving, staying = connect(), connect()
    for connection in (leaving, staying):
        send(connection, get("a"))
    while not things.loaded:
        pass
    leaving.close()
    things.held.set()
    send(staying, LAST)
    assert answers(staying) == ["a", "view"]
    until(lambda: sorted(logged) == [200, 499])


def test_client_that_does_not_read_is_not_answered_without_end(
    connect: Connect, things: Things
) -> None:
    connection = connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    send(connection, get("large"))
    # The first answer is loaded, so that the others are kept.
    assert connection.recv(16)
    send(connection, get("large") * 2_000)
    unread = len(received(connection))
    assert unread < 60 * len(LARGE)
