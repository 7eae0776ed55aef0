"""Requests that are refused without a thread, rate-limited requests, and delayed answers."""

import asyncio
import json
import logging
from collections.abc import Iterable
from typing import Any

import pytest
from pytest_django import Settings

from apps.core.errors import RateLimited
from apps.core.http import bridge, middleware
from apps.core.tests.asgi import SCOPE, Echo, header, served, status
from apps.core.tests.hanging import HangingWork, hold_threads, pool_of, wait_until
from apps.core.threads import BoundedPool
from config.wsgi import application as wsgi_application

ORIGIN = "https://app.example.com"


@pytest.fixture(autouse=True)
def _prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send refusals without delay, so that no test waits for one."""
    monkeypatch.setattr(bridge, "REFUSAL_DELAY", 0.0)


async def refused(pool: BoundedPool, **scope: Any) -> list[dict[str, Any]]:
    """Return what a client gets while all threads of the pool are held."""
    work = HangingWork()
    held = await hold_threads(pool, work, pool._free)
    sent = await served(wsgi_application, b"{}", pool=pool, **scope)
    work.go.set()
    await asyncio.gather(*held)
    return sent


def test_a_request_without_a_thread_in_time_is_refused_in_the_envelope(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    headers = [(b"x-request-id", b"mine"), (b"origin", ORIGIN.encode()), (b"host", b"localhost")]
    sent = asyncio.run(refused(pool_of(2, wait=0.02), headers=headers))
    assert status(sent) == 503
    assert int(header(sent, b"retry-after")) > 0
    assert header(sent, b"content-type") == "application/json"
    assert header(sent, b"x-request-id") == "mine"
    assert header(sent, b"x-content-type-options") == "nosniff"
    assert header(sent, b"access-control-allow-origin") == ORIGIN
    assert header(sent, b"content-length") == str(len(sent[1]["body"]))
    body = json.loads(sent[1]["body"])
    assert (body["success"], body["code"]) == (False, "SERVICE_UNAVAILABLE")
    meta = body["meta"]
    assert set(meta) == {"requestId", "timestamp", "path", "method", "version", "durationMs"}
    assert (meta["requestId"], meta["path"], meta["method"]) == ("mine", SCOPE["path"], "POST")


@pytest.mark.parametrize("path", ["/api/v1/posts", "/admin/login/", "/static/x.js", "/"])
def test_a_request_is_refused_on_every_path_when_the_queue_is_full(path: str) -> None:
    sent = asyncio.run(refused(pool_of(1, queue=0), path=path))
    assert status(sent) == 503
    assert json.loads(sent[1]["body"])["code"] == "SERVICE_UNAVAILABLE"


def test_a_refusal_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal is made on the loop, where a call to Redis would block all requests."""

    def never(*_: object) -> None:
        raise AssertionError("The limiter was called.")

    monkeypatch.setattr(middleware, "consume_address", never)
    assert status(asyncio.run(refused(pool_of(1, queue=0)))) == 503


def test_a_refusal_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    headers = [(b"x-request-id", b"mine")]
    asyncio.run(refused(pool_of(1, queue=0), headers=headers))
    [record] = [record for record in caplog.records if record.name != "asyncio"]
    assert record.name == "parley.request"
    assert isinstance(record.msg, dict)
    line = record.msg
    assert (line["request_id"], line["status"], line["method"]) == ("mine", 503, "POST")


def test_a_refused_request_holds_no_thread() -> None:
    async def scenario() -> None:
        pool = pool_of(1, queue=0)
        await refused(pool)
        assert status(await served(Echo(), pool=pool)) == 200

    asyncio.run(scenario())


def too_often(environ: dict[str, Any]) -> str:
    raise RateLimited(limit=2, remaining=0, reset=9, retry_after=7)


def test_a_rate_limited_request_needs_no_thread_and_no_body() -> None:
    async def scenario() -> None:
        pool, work = pool_of(1, queue=0), HangingWork()
        held = await hold_threads(pool, work)
        sent = await served(wsgi_application, b"{", ends=False, pool=pool, check_limit=too_often)
        assert status(sent) == 429
        assert json.loads(sent[1]["body"])["code"] == "RATE_LIMIT_EXCEEDED"
        assert header(sent, b"retry-after") == "7"
        assert header(sent, b"ratelimit-limit") == "2"
        work.go.set()
        await asyncio.gather(*held)

    asyncio.run(scenario())


def test_a_refusal_is_sent_with_a_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a flood on a hundred connections would keep the loop busy with refusals."""
    monkeypatch.setattr(bridge, "REFUSAL_DELAY", 30.0)
    monkeypatch.setattr(bridge, "LONGEST_DELAY", 30.0)

    async def scenario() -> None:
        sent = list[dict[str, Any]]()
        echo = Echo()
        task = asyncio.create_task(served(echo, check_limit=too_often, sent=sent))
        await wait_until(lambda: bool(echo.closed))
        assert (echo.body, sent) == (b"", [])
        assert status(await served(Echo())) == 200
        assert sent == []
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scenario())


class Delayed(Echo):
    """An application that delays its answer."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        environ["parley.delay"] = self.seconds
        return super().__call__(environ, start)


def test_a_delayed_answer_holds_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "LONGEST_DELAY", 30.0)

    async def scenario() -> None:
        pool, sent = pool_of(1), list[dict[str, Any]]()
        delayed = Delayed(30.0)
        task = asyncio.create_task(served(delayed, pool=pool, sent=sent))
        await wait_until(lambda: bool(delayed.closed))
        assert status(await served(Echo(), pool=pool)) == 200
        assert sent == []
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scenario())


def test_a_delayed_answer_is_sent_in_the_end() -> None:
    assert status(asyncio.run(served(Delayed(0.01)))) == 200


@pytest.mark.parametrize(
    ("asked", "slept"), [(0.5, [0.5]), (5.0, [5.0]), (3600.0, [5.0]), (0.0, []), (-1.0, [])]
)
def test_the_delay_of_an_answer_is_limited(
    monkeypatch: pytest.MonkeyPatch, asked: float, slept: list[float]
) -> None:
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert status(asyncio.run(served(Delayed(asked)))) == 200
    assert found == slept
