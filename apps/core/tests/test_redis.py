"""A Redis that hangs or refuses costs a process next to nothing, and heals by itself."""

import socket
import threading
from collections.abc import Callable, Iterator
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
from apps.core.testing.server import until
from apps.core.testing.servers import PrivateRedis
from config import env


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The aliases that were asked for a client; Redis itself is not needed."""
    asked: list[str] = []
    monkeypatch.setattr(core_redis, "breaker", Breaker())
    monkeypatch.setattr(core_redis, "get_redis_connection", asked.append)
    monkeypatch.setattr(core_redis, "_hang_up", lambda: None)
    return asked


def answer(_: Any) -> str:
    return "answer"


def fail(_: Any) -> None:
    raise TimeoutError


def refuse(_: Any) -> None:
    raise ResponseError("OOM command not allowed")


def down(alias: str, operation: Callable[[Any], Any] = answer) -> bool:
    """Return whether Redis is said to be down."""
    try:
        with_redis(alias, operation)
    except RedisDown:
        return True
    return False


def test_when_one_alias_fails_all_of_them_leave_redis_alone(calls: list[str]) -> None:
    """They are databases of the same server."""
    assert down("main", fail)
    assert down("main")
    assert down("session")
    assert calls == ["main"]


def test_after_a_pause_one_thread_tries_and_the_others_go_without(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_redis, "PAUSE", 0)
    assert down("main", fail)
    monkeypatch.setattr(core_redis, "PAUSE", 60)
    trying, go_on = threading.Event(), threading.Event()

    def hang(_: Any) -> str:
        trying.set()
        go_on.wait(timeout=60)
        return "answer"

    with ThreadPoolExecutor(1) as thread:
        tried = thread.submit(with_redis, "main", hang)
        assert trying.wait(timeout=10)
        assert down("main")
        assert down("session")
        go_on.set()
        assert tried.result() == "answer"
    assert not down("main")
    assert not down("session")


def test_a_try_that_fails_begins_another_pause(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_redis, "PAUSE", 0)
    assert down("main", fail)
    monkeypatch.setattr(core_redis, "PAUSE", 60)
    assert down("main", fail)
    assert down("main")
    assert calls == ["main", "main"]


def test_who_was_asked_before_the_failure_and_answers_after_it_ends_no_pause(
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


def test_a_redis_that_refuses_is_asked_again_at_once_and_told_of_now_and_then(
    calls: list[str],
) -> None:
    """One that is full refuses to write, and reads as ever."""
    with capture_logs() as lines:
        assert [down("main", refuse) for _ in range(5)] == [True] * 5
    assert not down("main")
    assert len(calls) == 6
    assert [line["event"] for line in lines] == ["redis refuses"]


@pytest.fixture
def private(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateRedis]:
    """A Redis of our own, with which the process talks as it does with any."""
    with PrivateRedis() as server:
        settings.CACHES = {
            alias: {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": f"{server.url}/{number}",
                "OPTIONS": {
                    "SOCKET_CONNECT_TIMEOUT": 0.2,
                    "SOCKET_TIMEOUT": 0.2,
                    "CONNECTION_POOL_CLASS": "redis.connection.BlockingConnectionPool",
                    "CONNECTION_POOL_KWARGS": {"max_connections": 3, "timeout": 0.2},
                },
            }
            for number, alias in enumerate(("default", "main"))
        }
        monkeypatch.setattr(core_redis, "breaker", Breaker())
        yield server
        for alias in settings.CACHES:
            get_redis_connection(alias).connection_pool.disconnect()


def connected(server: PrivateRedis) -> set[str]:
    """Return the connections that the server knows of."""
    with redis.Redis.from_url(server.url) as client:
        own = str(client.client_id())
        return {one["id"] for one in client.client_list()} - {own}


@pytest.mark.integration
def test_after_a_failure_no_connection_of_before_is_used(private: PrivateRedis) -> None:
    """What has died without a word would cost a time-out each."""
    together = threading.Barrier(3)

    def ping(client: Any) -> bool:
        together.wait(timeout=10)
        return bool(client.ping())

    with ThreadPoolExecutor(3) as threads:
        for alias in ("default", "main"):
            assert all(threads.map(with_redis, [alias] * 3, [ping] * 3))
    before = connected(private)
    assert before
    private.freeze()
    try:
        assert down("main", lambda client: client.ping())
    finally:
        private.thaw()
    until(lambda: not before & connected(private))
    until(lambda: not down("default", lambda client: client.ping()))


@pytest.mark.integration
def test_a_frozen_redis_leaves_no_connection_taken(private: PrivateRedis) -> None:
    """More calls fail than there are connections."""
    for _ in range(5):
        core_redis.breaker.reset()
        private.freeze()
        try:
            assert down("main", lambda client: client.ping())
        finally:
            private.thaw()
    core_redis.breaker.reset()
    assert not down("main", lambda client: client.ping())


@pytest.mark.skipif(not configured.REDIS_URL, reason="needs Redis")
@pytest.mark.parametrize(("alias", "patience"), [("default", 1), ("session", 0.3), ("main", 0.1)])
def test_the_system_is_told_to_notice_a_connection_that_died(alias: str, patience: float) -> None:
    pool = get_redis_connection(alias).connection_pool
    connection = pool.get_connection()
    try:
        own: socket.socket = connection._sock
        assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert own.gettimeout() == patience
        for option, value in env.keepalive(idle=5, interval=2, count=2).items():
            assert own.getsockopt(socket.IPPROTO_TCP, option) == value
        assert connection.health_check_interval == 5
    finally:
        pool.release(connection)
