"""The bridge from ASGI to WSGI: requests reach the application whole, and so do its answers."""

import asyncio
import json
from typing import Any

import pytest
from django.conf import settings
from pytest_django import Settings

from apps.core.http.bridge import WsgiBridge
from apps.core.tests.asgi import SCOPE, Echo, bridge_to, call, status
from apps.core.tests.hanging import pool_of
from apps.core.threads import BoundedPool
from config.wsgi import application as wsgi_application


def test_the_application_gets_a_body_in_parts_as_a_whole() -> None:
    echo = Echo()
    call(echo, b"one ", b"", b"two")
    assert echo.body == b"one two"
    assert echo.environ["CONTENT_LENGTH"] == "7"


@pytest.mark.parametrize("length", [b"5", b"0", b"999999", b"-1", b"many"])
def test_the_received_length_counts_and_not_the_announced_one(length: bytes) -> None:
    echo = Echo()
    call(echo, b"one two", headers=[(b"content-length", length)])
    assert echo.body == b"one two"
    assert echo.environ["CONTENT_LENGTH"] == "7"


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/admin/login/", "/nothing"])
@pytest.mark.parametrize("announced", [[], [(b"content-length", b"5")]])
def test_a_body_that_grows_over_the_limit_is_413_and_not_read_further(
    announced: list[tuple[bytes, bytes]], path: str
) -> None:
    """The body never ends, so the answer must come before its end."""
    part = b" " * (settings.BODY_LIMIT // 2)
    sent = call(wsgi_application, part, part, b" ", headers=announced, ends=False, path=path)
    assert status(sent) == 413
    assert json.loads(sent[1]["body"])["code"] == "PAYLOAD_TOO_LARGE"


def test_a_body_announced_over_the_limit_is_413_and_not_read() -> None:
    headers = [(b"content-length", str(settings.BODY_LIMIT + 1).encode())]
    sent = call(wsgi_application, headers=headers, ends=False)
    assert status(sent) == 413
    assert json.loads(sent[1]["body"])["code"] == "PAYLOAD_TOO_LARGE"


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/admin/login/", "/nothing"])
def test_a_body_that_does_not_come_in_time_is_408(settings: Settings, path: str) -> None:
    settings.SERVER_READ_TIMEOUT = 0.05
    sent = call(wsgi_application, b"{", ends=False, path=path)
    assert status(sent) == 408
    assert json.loads(sent[1]["body"])["code"] == "REQUEST_TIMEOUT"


def test_a_client_that_disconnects_is_not_served() -> None:
    echo = Echo()
    assert call(echo, b"half", ends=False, hang_up=True) == []
    assert echo.environ == {}


def test_the_environ_follows_pep_3333() -> None:
    echo = Echo()
    headers = [
        (b"host", b"example.com"),
        (b"content-type", b"application/json"),
        (b"x-twice", b"a"),
        (b"x-twice", b"b"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
    ]
    call(echo, raw_path=b"/a%20b/%C3%BC", headers=headers, query_string=b"q=%20", scheme="https")
    environ = echo.environ
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/a b/ü"
    assert environ["QUERY_STRING"] == "q=%20"
    assert (environ["REQUEST_METHOD"], environ["wsgi.url_scheme"]) == ("POST", "https")
    assert environ["REMOTE_ADDR"] == "10.1.2.3"
    assert environ["CONTENT_TYPE"] == "application/json"
    assert environ["HTTP_X_TWICE"] == "a,b"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


def test_the_decoded_path_selects_the_threads() -> None:
    asked = []

    def lane(method: str, path: str) -> BoundedPool:
        asked.append((method, path))
        return pool_of(1)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        pass

    scope = SCOPE | {"raw_path": b"/api/v1/auth/%6Cogin"}
    asyncio.run(WsgiBridge(Echo(), lane, lambda environ: "")(scope, receive, send))
    assert asked == [("POST", "/api/v1/auth/login")]


def test_a_header_with_an_underscore_cannot_replace_another() -> None:
    """Otherwise a client could replace X-Forwarded-For and escape the rate limit."""
    echo = Echo()
    call(echo, headers=[(b"x_forwarded_for", b"1.1.1.1"), (b"x-forwarded-for", b"2.2.2.2")])
    assert echo.environ["HTTP_X_FORWARDED_FOR"] == "2.2.2.2"


def test_an_answer_in_one_part_has_a_content_length() -> None:
    sent = call(Echo(b"one ", b"two"))
    assert (b"content-length", b"7") in sent[0]["headers"]
    assert (b"x-said", b"\xe9") in sent[0]["headers"]
    assert [message["body"] for message in sent[1:]] == [b"one two"]


def test_a_long_answer_is_sent_in_parts_and_closed_after_the_last() -> None:
    echo = Echo(*[b"x" * 200_000] * 5)
    sent = call(echo)
    assert b"".join(message["body"] for message in sent[1:]) == b"x" * 1_000_000
    assert [message["more_body"] for message in sent[1:]] == [True, True, False]
    assert echo.closed == 1


def test_an_answer_that_cannot_be_sent_is_closed() -> None:
    echo = Echo(*[b"x" * 200_000] * 5)

    async def broken(message: dict[str, Any]) -> None:
        raise OSError("gone")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def scenario() -> None:
        pool = pool_of(1)
        with pytest.raises(OSError, match="gone"):
            await bridge_to(echo, pool)(SCOPE, receive, broken)
        # This runs after the close, which the bridge has left for later.
        await pool.run(lambda: None)

    asyncio.run(scenario())
    assert echo.closed == 1


@pytest.mark.parametrize(
    ("name", "key"), [(b"content-type", "CONTENT_TYPE"), (b"accept", "HTTP_ACCEPT")]
)
def test_headers_that_are_slow_to_parse_are_cut(name: bytes, key: str) -> None:
    application = Echo()
    value = b"application/json" + b";" * 31_000
    call(application, headers=[(name, value)])
    assert application.environ[key].startswith("application/json;")
    assert len(application.environ[key]) <= 1024
