"""/health and /ready, which never wait for the dependencies that they report on."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings

from config import health_checks, readiness
from config.health import HealthEndpoints
from config.health_checks import HealthCheck, HealthChecks
from config.readiness import DatabaseState, Readiness
from testing.asgi import Response, request, request_async
from testing.server import ServerProcess, until

READY = DatabaseState(answers=True, migrated=True)

MakeEndpoints = Callable[..., HealthEndpoints]


def answers() -> None:
    """Check a dependency that answers."""


def is_down() -> None:
    """Check one that does not."""
    raise OSError("the password is secret")


class Hanging:
    """A dependency that answers until it is frozen, and after it is thawed."""

    def __init__(self, *, frozen: bool = False) -> None:
        self.checks = 0
        self._open = threading.Event()
        if not frozen:
            self._open.set()

    def __call__(self) -> DatabaseState:
        self.checks += 1
        self._open.wait(timeout=60)
        return READY

    def freeze(self) -> None:
        self._open.clear()

    def thaw(self) -> None:
        self._open.set()


async def other_application(scope: Any, receive: Any, send: Any) -> None:
    """Answer the requests that the endpoints pass on."""
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def started() -> Iterator[list[HealthCheck]]:
    """The checks that a test has started; they are stopped afterwards."""
    checks: list[HealthCheck] = []
    yield checks
    for check in checks:
        check.stop()


@pytest.fixture
def endpoints(started: list[HealthCheck]) -> MakeEndpoints:
    """A function that returns the application, given the checks of its dependencies."""

    def make(
        database: Callable[[], object] = answers,
        redis: Callable[[], object] | None = None,
        state: Callable[[], DatabaseState] = lambda: READY,
    ) -> HealthEndpoints:
        checks = [HealthCheck(name, one) for name, one in (("d", database), ("r", redis)) if one]
        started.extend(checks)
        known = HealthChecks(checks[0], checks[1] if redis else None)
        return HealthEndpoints(other_application, known, Readiness(state))

    return make


def status_and_body(response: Response) -> tuple[int, dict[str, Any]]:
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.pop("time").endswith("Z")
    return response.status, body


def test_a_healthy_process_says_so(endpoints: MakeEndpoints) -> None:
    assert status_and_body(request(endpoints(), "/health")) == (
        200,
        {
            "status": "ok",
            "version": settings.APP_VERSION,
            "database": "healthy",
            "redis": "embedded",
            "websocket": {"users": 0, "connections": 0},
        },
    )


def test_a_ready_process_says_so(endpoints: MakeEndpoints) -> None:
    assert status_and_body(request(endpoints(redis=answers), "/ready")) == (
        200,
        {
            "status": "ready",
            "database": "connected",
            "redis": "connected",
            "migrations": "applied",
        },
    )


def test_a_process_without_its_database_is_alive(endpoints: MakeEndpoints) -> None:
    """An orchestrator that restarts the process would not bring the database back."""
    status, body = status_and_body(request(endpoints(database=is_down), "/health"))
    assert (status, body["status"], body["database"]) == (200, "ok", "unhealthy")


def test_a_process_without_its_database_gets_no_traffic(
    endpoints: MakeEndpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A balancer must not send requests to a process that can only fail them."""
    monkeypatch.setattr(readiness, "query_database", is_down)
    status, body = status_and_body(request(endpoints(state=readiness.database_state), "/ready"))
    assert status == 503
    assert (body["status"], body["database"]) == ("not_ready", "disconnected")
    assert "secret" not in str(body)


def test_a_process_without_its_tables_gets_no_traffic(endpoints: MakeEndpoints) -> None:
    unmigrated = DatabaseState(answers=True, migrated=False)
    status, body = status_and_body(request(endpoints(state=lambda: unmigrated), "/ready"))
    assert (status, body["status"], body["migrations"]) == (503, "not_ready", "pending")


def test_a_process_without_its_redis_is_alive_and_gets_traffic(endpoints: MakeEndpoints) -> None:
    """Every request works without Redis."""
    application = endpoints(redis=is_down)
    status, body = status_and_body(request(application, "/health"))
    assert (status, body["redis"], body["database"]) == (200, "unhealthy", "healthy")
    status, body = status_and_body(request(application, "/ready"))
    assert (status, body["redis"], body["status"]) == (200, "disconnected", "ready")


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for fractions of a second instead of seconds."""
    monkeypatch.setattr(health_checks, "INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(health_checks, "STALE_SECONDS", 0.2)
    monkeypatch.setattr(health_checks, "FIRST_RESULT_SECONDS", 0.05)
    monkeypatch.setattr(readiness, "DEADLINE_SECONDS", 0.05)


@pytest.mark.usefixtures("short_times")
def test_a_database_that_hangs_is_unhealthy_until_it_answers_again(
    endpoints: MakeEndpoints,
) -> None:
    database = Hanging()
    application = endpoints(database=database, redis=answers)

    def state() -> tuple[str, str]:
        body = request(application, "/health").json()
        return body["database"], body["redis"]

    assert state() == ("healthy", "healthy")
    database.freeze()
    until(lambda: state() == ("unhealthy", "healthy"))
    database.thaw()
    until(lambda: state() == ("healthy", "healthy"))


def test_the_first_response_waits_for_a_slow_database(endpoints: MakeEndpoints) -> None:
    database = Hanging(frozen=True)
    threading.Timer(0.1, database.thaw).start()
    assert request(endpoints(database=database), "/health").json()["database"] == "healthy"


@pytest.mark.usefixtures("short_times")
def test_a_database_that_hangs_from_the_start_is_unhealthy(endpoints: MakeEndpoints) -> None:
    database = Hanging(frozen=True)
    assert request(endpoints(database=database), "/health").json()["database"] == "unhealthy"
    database.thaw()


@pytest.mark.usefixtures("short_times")
def test_concurrent_requests_for_readiness_wait_for_one_check(endpoints: MakeEndpoints) -> None:
    database = Hanging(frozen=True)
    application = endpoints(state=database)

    async def several() -> list[Response]:
        return await asyncio.gather(*[request_async(application, "/ready") for _ in range(5)])

    for _ in range(2):
        assert {status_and_body(answer)[0] for answer in asyncio.run(several())} == {503}
    assert database.checks == 1
    database.thaw()
    until(lambda: request(application, "/ready").status == 200)


def test_head_returns_the_headers_of_get(endpoints: MakeEndpoints) -> None:
    application = endpoints()
    got, head = request(application, "/health"), request(application, "/health", "HEAD")
    assert (head.status, head.body) == (200, b"")
    for answer in (got, head):
        answer.headers.pop("x-request-id")
    assert got.headers == head.headers
    assert int(got.headers["content-length"]) == len(got.body)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_other_methods_are_refused_in_the_envelope(
    endpoints: MakeEndpoints, path: str, method: str
) -> None:
    answer = request(endpoints(), path, method, {"X-Request-ID": "mine"})
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    body = answer.json()
    assert (body["success"], body["code"]) == (False, "METHOD_NOT_ALLOWED")
    assert body["meta"]["requestId"] == answer.headers["x-request-id"] == "mine"


def test_a_response_has_the_security_headers_and_its_own_id(endpoints: MakeEndpoints) -> None:
    application = endpoints()
    first, second = request(application, "/health"), request(application, "/ready")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    for answer in (first, second):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"


def test_health_answers_any_host_and_allows_no_other_origin(endpoints: MakeEndpoints) -> None:
    asking = {"Host": "10.1.2.3", "Origin": "https://app.example.com"}
    answer = request(endpoints(), "/health", headers=asking)
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers


def test_health_requests_are_logged_at_debug_level(
    endpoints: MakeEndpoints, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "parley.request")
    request(endpoints(), "/health")
    (record,) = [one for one in caplog.records if one.name == "parley.request"]
    assert isinstance(record.msg, dict)
    assert (record.levelname, record.msg["route"], record.msg["status"]) == (
        "DEBUG",
        "/health",
        200,
    )


@pytest.mark.parametrize("path", ["/", "/healthy", "/health/", "/api/v1/posts"])
def test_other_paths_go_to_the_other_application(endpoints: MakeEndpoints, path: str) -> None:
    assert request(endpoints(), path).status == 418


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_server_is_healthy_and_ready_from_its_first_response(server: ServerProcess) -> None:
    redis = "healthy" if settings.REDIS_URL else "embedded"
    health = server.call("GET", "/health").json()
    assert (health["database"], health["redis"]) == ("healthy", redis)
    assert server.call("GET", "/ready").json()["status"] == "ready"
    assert server.call("HEAD", "/health").content == b""
    assert server.call("POST", "/health", json={}).status_code == 405
