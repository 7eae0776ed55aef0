"""Every refusal comes in the common envelope, whichever part of the server refuses."""

from typing import Any

import pytest
from django.db import OperationalError

from apps.accounts import selectors
from apps.accounts.tests.people import Person
from apps.core.tests.routes import SOME_ID, WITH_A_BODY, routes
from testing.client import ContractClient

METHODS = ("get", "post", "put", "patch", "delete")
META = {"requestId", "timestamp", "path", "method", "version", "durationMs"}


def refused(response: Any, status: int, code: str) -> dict[str, Any]:
    """Return the body of a refusal; fail if it is not one."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert set(body) - {"errors"} == {"success", "message", "code", "meta"}
    assert body["success"] is False
    assert body["code"] == code
    assert body["message"]
    assert set(body["meta"]) == META
    return body


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/v2/posts", "/api/nothing", "/nothing", "/api/v1/posts/é"]
)
def test_an_unknown_route_is_404(anonymous: ContractClient, path: str) -> None:
    refused(anonymous.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize("key", ["1", "not-a-uuid", f"{SOME_ID}0", SOME_ID.replace("-", "")])
def test_a_malformed_id_is_404_without_a_database_query(
    anonymous: ContractClient, key: str
) -> None:
    """PostgreSQL would raise an error for an id that is not a UUID."""
    refused(anonymous.get(f"/api/v1/users/{key}"), 404, "NOT_FOUND")


def test_a_database_error_is_not_reported_as_404(
    anonymous: ContractClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client would take a 404 for the news that the user was deleted."""

    def fail(*_: Any) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(selectors, "user_get", fail)
    response = anonymous.get(f"/api/v1/users/{SOME_ID}")
    body = refused(response, 503, "SERVICE_UNAVAILABLE")
    assert int(response["Retry-After"]) > 0
    assert "connection" not in body["message"]


def test_an_unexpected_exception_is_500_without_its_text(
    anonymous: ContractClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(selectors, "user_get", fail)
    response = anonymous.get(f"/api/v1/users/{SOME_ID}")
    assert refused(response, 500, "INTERNAL_ERROR")["message"] == "Internal server error"
    assert b"secret" not in response.content


def test_an_exception_outside_of_views_is_500(
    anonymous: ContractClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr("apps.core.http.middleware.consume_address", fail)
    anonymous.raise_request_exception = False
    body = refused(anonymous.get("/api/v1/posts"), 500, "INTERNAL_ERROR")
    assert body["message"] == "Internal server error"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "trace"])
def test_a_missing_method_is_405_and_the_others_are_named(alice: Person, method: str) -> None:
    response = getattr(alice.client, method)("/api/v1/auth/sessions")
    refused(response, 405, "METHOD_NOT_ALLOWED")
    assert response["Allow"] == "GET, HEAD, OPTIONS"


def test_every_route_answers_405_to_a_missing_method(alice: Person) -> None:
    """An Idempotency-Key, which is read before the method, does not change that."""
    known = routes(*METHODS)
    for path in {path for _, path in known}:
        for method in (method for method in METHODS if (method, path) not in known):
            response = getattr(alice.client, method)(path, headers={"Idempotency-Key": "k"})
            refused(response, 405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("accepted", ["text/html", "application/xml", "image/*", ""])
def test_a_client_that_accepts_no_json_gets_406(alice: Person, accepted: str) -> None:
    refused(alice.get("/auth/profile", Accept=accepted), 406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    "accepted", ["*/*", "application/*", "text/html, application/json;q=0.1", "text/html,*/*"]
)
def test_a_client_that_accepts_json_gets_it(alice: Person, accepted: str) -> None:
    assert alice.get("/auth/profile", Accept=accepted).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_a_body_of_another_type_is_415_on_every_route(alice: Person, content_type: str) -> None:
    for method, path in WITH_A_BODY:
        response = getattr(alice.client, method)(path, b"a=b", content_type=content_type)
        refused(response, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_no_route_fails_for_an_anonymous_user(anonymous: ContractClient, db: Any) -> None:
    for method, path in routes(*METHODS):
        response = getattr(anonymous, method)(path)
        assert response.status_code in {200, 401, 404, 422}, f"{method} {path}"


def test_the_meta_of_an_answer_describes_the_request(anonymous: ContractClient, db: Any) -> None:
    response = anonymous.get("/api/v1/users?limit=1", headers={"X-Request-ID": "mine-1"})
    meta = response.json()["meta"]
    assert set(meta) == META
    assert (meta["path"], meta["method"]) == ("/api/v1/users", "GET")
    assert meta["requestId"] == "mine-1" == response["X-Request-ID"]
    assert meta["timestamp"].endswith("Z")
    assert 0 <= meta["durationMs"] < 60_000
