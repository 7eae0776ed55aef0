"""Headers for browsers: security headers, and which pages may read an answer."""

import os
import subprocess
import sys
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from testing.client import ContractClient

ALLOWED, FOREIGN = "https://app.example.com", "https://evil.example.com"
SECURE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _one_allowed_origin(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ALLOWED]


def ask(client: ContractClient, origin: str, path: str = "/api/v1/users", **headers: str) -> Any:
    return client.get(path, headers={"Origin": origin} | headers)


@pytest.mark.parametrize("path", ["/api/v1/users", "/api/v1/nothing", "/api/v1/users/", "/nothing"])
def test_every_answer_has_the_security_headers(anonymous: ContractClient, path: str) -> None:
    response = anonymous.get(path)
    for name, value in SECURE.items():
        assert response[name] == value


def test_an_api_answer_is_neither_executed_nor_cached(anonymous: ContractClient) -> None:
    response = anonymous.get("/api/v1/users")
    assert response["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert response["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(("env", "seconds"), [("production", "31536000"), ("development", "0")])
def test_only_production_sets_hsts(env: str, seconds: str) -> None:
    code = "from config import settings; print(settings.SECURE_HSTS_SECONDS)"
    environment = {**os.environ, "APP_ENV": env}
    output = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert output.strip() == seconds


def test_hsts_is_sent_only_over_tls(anonymous: ContractClient, settings: Settings) -> None:
    settings.SECURE_HSTS_SECONDS = 60
    assert "Strict-Transport-Security" not in anonymous.get("/api/v1/users")
    over_tls = anonymous.get("/api/v1/users", secure=True)
    assert over_tls["Strict-Transport-Security"] == "max-age=60"


@pytest.mark.parametrize("path", ["/api/v1/users", "/api/v1/nothing", "/api/v1/auth/profile"])
def test_a_page_of_an_allowed_origin_may_read_answers_and_refusals(
    anonymous: ContractClient, path: str
) -> None:
    response = ask(anonymous, ALLOWED, path)
    assert response["Access-Control-Allow-Origin"] == ALLOWED
    assert response["Access-Control-Allow-Credentials"] == "true"
    assert "origin" in response["Vary"].lower()
    exposed = response["Access-Control-Expose-Headers"]
    assert {"ETag", "X-Request-ID", "Retry-After", "Idempotent-Replayed"} <= set(
        exposed.split(", ")
    )


def test_a_page_of_an_allowed_origin_may_read_a_429(
    anonymous: ContractClient, settings: Settings
) -> None:
    settings.RATE_LIMIT_REQUESTS_PER_SECOND, settings.RATE_LIMIT_BURST = 0.001, 1
    anonymous.defaults["REMOTE_ADDR"] = str(uuid4())
    ask(anonymous, ALLOWED)
    response = ask(anonymous, ALLOWED)
    assert response.status_code == 429
    assert response["Access-Control-Allow-Origin"] == ALLOWED


@pytest.mark.parametrize(
    "origin", [FOREIGN, "null", "https://app.example.com.evil.com", "http://app.example.com"]
)
def test_a_page_of_another_origin_may_not_read_answers(
    anonymous: ContractClient, origin: str
) -> None:
    assert "Access-Control-Allow-Origin" not in ask(anonymous, origin)


def preflight(client: ContractClient, origin: str) -> Any:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,if-match,idempotency-key",
    }
    return client.generic("OPTIONS", "/api/v1/auth/profile", headers=headers)


def test_a_preflight_of_an_allowed_origin_names_methods_and_headers(
    anonymous: ContractClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testing.client.check_answer", lambda *_: None)
    response = preflight(anonymous, ALLOWED)
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == ALLOWED
    assert "PATCH" in response["Access-Control-Allow-Methods"]
    allowed = response["Access-Control-Allow-Headers"].lower()
    assert {"authorization", "if-match", "idempotency-key"} <= set(allowed.split(", "))


def test_a_preflight_of_another_origin_allows_nothing(
    anonymous: ContractClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testing.client.check_answer", lambda *_: None)
    assert "Access-Control-Allow-Origin" not in preflight(anonymous, FOREIGN)
