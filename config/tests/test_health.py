"""/health and /ready, which never wait for what they tell about."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from structlog.testing import capture_logs

from config import readiness, vitals
from config.health import HealthFront
from config.readiness import Database, Readiness
from config.vitals import Pulse, Vitals
from testing.asgi import Answer, ask, asked
from testing.server import ServerProcess, until

SOUND = Database(answers=True, migrated=True)

Front = Callable[..., HealthFront]


def answers() -> None:
    """Be a dependency that is there."""


def is_away() -> None:
    """Be one that is not."""
    raise OSError("the password is secret")


class Hanging:
    """A dependency that answers until it is frozen, and after it is thawed."""

    def __init__(self, *, frozen: bool = False) -> None:
        self.looks = 0
        self._open = threading.Event()
        if not frozen:
            self._open.set()

    def __call__(self) -> Database:
        self.looks += 1
        self._open.wait(timeout=60)
        return SOUND

    def freeze(self) -> None:
        self._open.clear()

    def thaw(self) -> None:
        self._open.set()


async def somebody_else(scope: Any, receive: Any, send: Any) -> None:
    """Be the application behind."""
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def started() -> Iterator[list[Pulse]]:
    """The pulses that a test has started; they are stopped afterwards."""
    pulses: list[Pulse] = []
    yield pulses
    for pulse in pulses:
        pulse.stop()


@pytest.fixture
def front(started: list[Pulse]) -> Front:
    """A function that returns the application, given how the dependencies are."""

    def make(
        database: Callable[[], object] = answers,
        redis: Callable[[], object] | None = None,
        found: Callable[[], Database] = lambda: SOUND,
    ) -> HealthFront:
        pulses = [Pulse(name, look) for name, look in (("d", database), ("r", redis)) if look]
        started.extend(pulses)
        known = Vitals(pulses[0], pulses[1] if redis else None)
        return HealthFront(somebody_else, known, Readiness(found))

    return make


def said(answer: Answer) -> tuple[int, dict[str, Any]]:
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.pop("time").endswith("Z")
    return answer.status, body


def test_a_healthy_process_says_so(front: Front) -> None:
    assert said(ask(front(), "/health")) == (
        200,
        {
            "status": "ok",
            "version": settings.APP_VERSION,
            "database": "healthy",
            "redis": "embedded",
            "websocket": {"users": 0, "connections": 0},
        },
    )


def test_a_ready_process_says_so(front: Front) -> None:
    assert said(ask(front(redis=answers), "/ready")) == (
        200,
        {
            "status": "ready",
            "database": "connected",
            "redis": "connected",
            "migrations": "applied",
        },
    )


def test_a_process_without_its_database_lives(front: Front) -> None:
    """Original defect 35: /health said that everything was well whatever happened."""
    status, body = said(ask(front(database=is_away), "/health"))
    assert (status, body["status"], body["database"]) == (200, "ok", "unhealthy")


def test_a_process_without_its_database_gets_no_traffic(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Original defect 35: /ready never looked at the database."""
    monkeypatch.setattr(readiness, "ask_database", is_away)
    status, body = said(ask(front(found=readiness.look_at_database), "/ready"))
    assert status == 503
    assert (body["status"], body["database"]) == ("not_ready", "disconnected")
    assert "secret" not in str(body)


def test_a_process_whose_tables_are_not_there_yet_gets_no_traffic(front: Front) -> None:
    unmigrated = Database(answers=True, migrated=False)
    status, body = said(ask(front(found=lambda: unmigrated), "/ready"))
    assert (status, body["status"], body["migrations"]) == (503, "not_ready", "pending")


def test_a_process_without_its_redis_lives_and_gets_traffic(front: Front) -> None:
    """Original defect 35: Redis only speeds things up."""
    application = front(redis=is_away)
    status, body = said(ask(application, "/health"))
    assert (status, body["redis"], body["database"]) == (200, "unhealthy", "healthy")
    status, body = said(ask(application, "/ready"))
    assert (status, body["redis"], body["status"]) == (200, "disconnected", "ready")


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for seconds."""
    monkeypatch.setattr(vitals, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(vitals, "STALE_SECONDS", 0.2)
    monkeypatch.setattr(vitals, "FIRST_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(readiness, "DEADLINE_SECONDS", 0.05)


@pytest.mark.usefixtures("in_a_hurry")
def test_a_database_that_hangs_is_said_to_be_unhealthy_until_it_goes_on(front: Front) -> None:
    database = Hanging()
    application = front(database=database, redis=answers)

    def state() -> tuple[str, str]:
        body = ask(application, "/health").json()
        return body["database"], body["redis"]

    assert state() == ("healthy", "healthy")
    database.freeze()
    until(lambda: state() == ("unhealthy", "healthy"))
    database.thaw()
    until(lambda: state() == ("healthy", "healthy"))


def test_the_first_answer_waits_for_a_database_that_takes_a_moment(front: Front) -> None:
    database = Hanging(frozen=True)
    threading.Timer(0.1, database.thaw).start()
    assert ask(front(database=database), "/health").json()["database"] == "healthy"


@pytest.mark.usefixtures("in_a_hurry")
def test_a_process_whose_database_hangs_from_the_start_says_so(front: Front) -> None:
    database = Hanging(frozen=True)
    assert ask(front(database=database), "/health").json()["database"] == "unhealthy"
    database.thaw()


@pytest.mark.usefixtures("in_a_hurry")
def test_all_who_ask_whether_a_process_is_ready_wait_for_one_look(front: Front) -> None:
    database = Hanging(frozen=True)
    application = front(found=database)

    async def several() -> list[Answer]:
        return await asyncio.gather(*[asked(application, "/ready") for _ in range(5)])

    for _ in range(2):
        assert {said(answer)[0] for answer in asyncio.run(several())} == {503}
    assert database.looks == 1
    database.thaw()
    until(lambda: ask(application, "/ready").status == 200)


def test_a_head_is_the_head_of_what_a_get_says(front: Front) -> None:
    application = front()
    got, head = ask(application, "/health"), ask(application, "/health", "HEAD")
    assert (head.status, head.body) == (200, b"")
    for answer in (got, head):
        answer.headers.pop("x-request-id")
    assert got.headers == head.headers
    assert int(got.headers["content-length"]) == len(got.body)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_any_other_method_is_refused_in_the_envelope(front: Front, path: str, method: str) -> None:
    answer = ask(front(), path, method, {"X-Request-ID": "mine"})
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    body = answer.json()
    assert (body["success"], body["code"]) == (False, "METHOD_NOT_ALLOWED")
    assert body["meta"]["requestId"] == answer.headers["x-request-id"] == "mine"


def test_an_answer_has_the_security_headers_and_an_id_of_its_own(front: Front) -> None:
    application = front()
    first, second = ask(application, "/health"), ask(application, "/ready")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    for answer in (first, second):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"


def test_health_is_asked_by_address_and_not_by_pages_of_other_origins(front: Front) -> None:
    asking = {"Host": "10.1.2.3", "Origin": "https://app.example.com"}
    answer = ask(front(), "/health", headers=asking)
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers


def test_the_questions_after_health_are_told_to_who_debugs(front: Front) -> None:
    with capture_logs() as lines:
        ask(front(), "/health")
    (line,) = [one for one in lines if one["event"] == "request"]
    assert (line["log_level"], line["route"], line["status"]) == ("debug", "/health", 200)


@pytest.mark.parametrize("path", ["/", "/healthy", "/health/", "/api/v1/posts"])
def test_every_other_address_is_somebody_else_s(front: Front, path: str) -> None:
    assert ask(front(), path).status == 418


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_server_is_healthy_and_ready_from_its_first_answer(server: ServerProcess) -> None:
    redis = "healthy" if settings.REDIS_URL else "embedded"
    health = server.call("GET", "/health").json()
    assert (health["database"], health["redis"]) == ("healthy", redis)
    assert server.call("GET", "/ready").json()["status"] == "ready"
    assert server.call("HEAD", "/health").content == b""
    assert server.call("POST", "/health", json={}).status_code == 405


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_server_without_its_tables_lives_and_gets_no_traffic(
    start_server: Callable[..., ServerProcess], tmp_path: Any
) -> None:
    server = start_server(DATABASE_URL=f"sqlite://{tmp_path}/empty.sqlite3")
    assert server.call("GET", "/health").json()["database"] == "healthy"
    answer = server.call("GET", "/ready")
    assert (answer.status_code, answer.json()["migrations"]) == (503, "pending")
