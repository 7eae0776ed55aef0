"""/health and /ready, which never need what they tell about."""

from typing import Any

import pytest
from django.conf import settings as configured
from django.db import OperationalError
from pytest_django import Settings

from apps.core import redis as core_redis
from apps.core import views
from apps.core.testing.client import ContractClient

REDIS = "embedded" if not configured.REDIS_URL else ""


class Away:
    """A database that does not answer."""

    def cursor(self) -> None:
        raise OperationalError("the password is secret")


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "connection", Away())


@pytest.fixture
def no_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": dead, "main": dead, "session": dead}
    settings.REDIS_URL = "redis://127.0.0.1:1"
    monkeypatch.setattr(core_redis, "_down_until", {})


def get(client: ContractClient, path: str) -> tuple[int, dict[str, Any]]:
    response = client.get(path)
    assert response["Content-Type"] == "application/json"
    body = response.json()
    assert body.pop("time").endswith("Z")
    return response.status_code, body


@pytest.mark.django_db
def test_a_healthy_process_says_so(nobody: ContractClient) -> None:
    assert get(nobody, "/health") == (
        200,
        {
            "status": "ok",
            "version": configured.APP_VERSION,
            "database": "healthy",
            "redis": REDIS or "healthy",
            "websocket": {"users": 0, "connections": 0},
        },
    )


@pytest.mark.django_db
def test_a_ready_process_says_so(nobody: ContractClient) -> None:
    assert get(nobody, "/ready") == (
        200,
        {
            "status": "ready",
            "database": "connected",
            "redis": REDIS or "connected",
            "migrations": "applied",
        },
    )


@pytest.mark.usefixtures("no_database")
def test_a_process_without_its_database_lives(nobody: ContractClient) -> None:
    """Original defect 35: /health said that everything was well whatever happened."""
    status, body = get(nobody, "/health")
    assert (status, body["status"], body["database"]) == (200, "ok", "unhealthy")


@pytest.mark.usefixtures("no_database")
def test_a_process_without_its_database_gets_no_traffic(nobody: ContractClient) -> None:
    """Original defect 35: /ready never looked at the database."""
    status, body = get(nobody, "/ready")
    assert status == 503
    assert (body["status"], body["database"]) == ("not_ready", "disconnected")
    assert "secret" not in str(body)


@pytest.mark.django_db
def test_a_process_whose_tables_are_not_there_yet_gets_no_traffic(
    nobody: ContractClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_pending_migrations", lambda: True)
    status, body = get(nobody, "/ready")
    assert (status, body["status"], body["migrations"]) == (503, "not_ready", "pending")


@pytest.mark.django_db
@pytest.mark.usefixtures("no_redis")
def test_a_process_without_its_redis_lives_and_gets_traffic(nobody: ContractClient) -> None:
    """Original defect 35: Redis only speeds things up."""
    status, body = get(nobody, "/health")
    assert (status, body["redis"], body["database"]) == (200, "unhealthy", "healthy")
    status, body = get(nobody, "/ready")
    assert (status, body["redis"], body["status"]) == (200, "disconnected", "ready")
