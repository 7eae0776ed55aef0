"""The breaker: a hanging Redis costs a process little, and is used again when it answers."""

import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from django.conf import settings as configured
from django_redis import get_redis_connection
from pytest_django import Settings
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from apps.core import redis as core_redis
from apps.core.redis import Breaker, RedisDown, with_redis
from config import env
from testing.server import until
from testing.servers import PrivateRedis

START_PROBE = core_redis._start_probe


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The aliases that were asked for a client. No Redis is needed."""
    asked: list[str] = []
    monkeypatch.setattr(core_redis, "breaker", Breaker())
    monkeypatch.setattr(core_redis, "get_redis_connection", asked.append)
    monkeypatch.setattr(core_redis, "_close_idle_connections", lambda: None)
    monkeypatch.setattr(core_redis, "_start_probe", lambda _: None)
    return asked


def answer(_: Any) -> str:
    return "answer"


def fail(_: Any) -> None:
    raise TimeoutError


def refuse(_: Any) -> None:
    raise ResponseError("OOM command not allowed")


def down(alias: str, operation: Callable[[Any], Any] = answer) -> bool:
    """Return whether the call raises RedisDown."""
    try:
        with_redis(alias, operation)
    except RedisDown:
        return True
    return False


def test_a_failure_of_one_alias_opens_the_breaker_for_all(calls: list[str]) -> None:
    """All aliases are databases of the same server."""
    assert down("main", fail)
    assert down("main")
    assert down("session")
    assert calls == ["main"]


def test_a_late_answer_to_an_earlier_call_does_not_close_the_breaker(
    calls: list[str],
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(_: Any) -> str:
        asked.set()
        go_on.wait(timeout=60)
        return "answer"

    with ThreadPoolExecutor(1) as thread:
        late = thread.submit(with_redis, "main", slow)
        assert asked.wait(timeout=10)
        assert down("main", fail)
        go_on.set()
        assert late.result() == "answer"
    assert down("main")


class Pinged:
    """A Redis client that fails a number of times before it answers."""

    def __init__(self, failures: int) -> None:
        self.left = failures
        self.pings: list[str] = []

    def ping(self) -> bool:
        self.pings.append(threading.current_thread().name)
        self.left -= 1
        if self.left >= 0:
            raise TimeoutError
        return True


def test_only_the_probe_calls_a_failed_redis_until_it_answers(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Pinged(failures=3)
    monkeypatch.setattr(core_redis, "get_redis_connection", lambda _: client)
    monkeypatch.setattr(core_redis, "PROBE_SECONDS", 0.02)
    monkeypatch.setattr(core_redis, "_start_probe", START_PROBE)
    assert down("main", fail)
    until(lambda: not down("main"))
    assert client.pings == ["redis probe"] * 4


def test_concurrent_failures_start_one_probe(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Breaker] = []
    monkeypatch.setattr(core_redis, "_start_probe", started.append)
    together_now = threading.Barrier(4)

    def fail_together(_: Any) -> None:
        together_now.wait(timeout=10)
        raise TimeoutError

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(down, ["main", "session"] * 2, [fail_together] * 4))
    assert started == [core_redis.breaker]


def test_a_refusal_keeps_the_breaker_closed_and_is_logged_now_and_then(
    calls: list[str],
) -> None:
    """A full Redis refuses writes, but still answers reads."""
    with capture_logs() as lines:
        assert [down("main", refuse) for _ in range(5)] == [True] * 5
    assert not down("main")
    assert len(calls) == 6
    assert [line["event"] for line in lines] == ["redis refuses"]


def connected(server: PrivateRedis) -> set[str]:
    """Return the ids of the server's connections."""
    with redis.Redis.from_url(server.url) as client:
        own = str(client.client_id())
        return {one["id"] for one in client.client_list()} - {own}


@pytest.mark.integration
def test_connections_from_before_a_failure_are_not_used_again(private_redis: PrivateRedis) -> None:
    """Each connection that has died silently would cost a time-out."""
    together = threading.Barrier(3)

    def ping(client: Any) -> bool:
        together.wait(timeout=10)
        return bool(client.ping())

    with ThreadPoolExecutor(3) as threads:
        for alias in ("default", "main"):
            assert all(threads.map(with_redis, [alias] * 3, [ping] * 3))
    before = connected(private_redis)
    assert before
    private_redis.freeze()
    try:
        assert down("main", lambda client: client.ping())
    finally:
        private_redis.thaw()
    until(lambda: not before & connected(private_redis))
    until(lambda: not down("default", lambda client: client.ping()))


@pytest.mark.integration
def test_a_frozen_redis_leaks_no_connection(private_redis: PrivateRedis) -> None:
    """More calls fail than the pool has connections."""
    for _ in range(5):
        core_redis.breaker.reset()
        private_redis.freeze()
        try:
            assert down("main", lambda client: client.ping())
        finally:
            private_redis.thaw()
    core_redis.breaker.reset()
    assert not down("main", lambda client: client.ping())


@pytest.mark.skipif(not configured.REDIS_URL, reason="needs Redis")
@pytest.mark.parametrize(("alias", "timeout"), [("default", 1), ("session", 0.05), ("main", 0.05)])
def test_connections_are_configured_to_notice_a_dead_peer(alias: str, timeout: float) -> None:
    pool = get_redis_connection(alias).connection_pool
    connection = pool.get_connection()
    try:
        own: socket.socket = connection._sock
        assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert own.gettimeout() == timeout
        for option, value in env.keepalive(idle=5, interval=2, count=2).items():
            assert own.getsockopt(socket.IPPROTO_TCP, option) == value
        assert connection.health_check_interval == 5
    finally:
        pool.release(connection)


@pytest.mark.skipif(not configured.REDIS_URL, reason="needs Redis")
def test_aliases_that_share_a_database_keep_their_own_timeouts(settings: Settings) -> None:
    """Some Redis servers have only one database, and django-redis has one pool per address."""
    settings.CACHES = {
        alias: {**cache, "LOCATION": re.sub(r"/\d+\?", "/0?", cache["LOCATION"])}
        for alias, cache in configured.CACHES.items()
    }
    found = {
        alias: get_redis_connection(alias).connection_pool.connection_kwargs["socket_timeout"]
        for alias in ("default", "session", "main")
    }
    assert found == {"default": 1, "session": 0.05, "main": 0.05}
