"""OPTIONS: everyone may ask for the methods of a route, and it consumes no limit."""

from typing import Any

import pytest
from pytest_django import Settings

from apps.accounts.models import Session
from apps.accounts.tests.people import Person
from apps.core.tests.routes import SOME_ID
from testing.client import ContractClient
from testing.limits import AllActions

METHODS = {
    "/auth/login": {"POST"},
    "/auth/profile": {"GET", "HEAD", "PUT", "PATCH"},
    "/auth/password/change": {"POST"},
    f"/auth/sessions/{SOME_ID}": {"DELETE"},
    "/users": {"GET", "HEAD"},
    "/posts": {"GET", "HEAD", "POST"},
    f"/posts/{SOME_ID}": {"GET", "HEAD", "PUT", "PATCH", "DELETE"},
    "/messages": {"GET", "HEAD", "POST"},
}
routes = pytest.mark.parametrize(("path", "methods"), METHODS.items(), ids=METHODS)

pytestmark = pytest.mark.django_db


def ask(client: ContractClient, path: str, **headers: str) -> Any:
    return client.options(f"/api/v1{path}", headers=headers)


@routes
def test_a_route_names_its_methods_to_everyone(
    anonymous: ContractClient, path: str, methods: set[str]
) -> None:
    response = ask(anonymous, path)
    assert response.status_code == 204
    assert response.content == b""
    assert set(response["Allow"].split(", ")) == methods | {"OPTIONS"}


def test_a_bad_token_is_ignored(anonymous: ContractClient) -> None:
    assert ask(anonymous, "/auth/profile", Authorization="Bearer garbage").status_code == 204


def test_options_neither_uses_a_session_nor_consumes_a_limit(
    alice: Person, settings: Settings
) -> None:
    settings.ACTION_LIMITS = AllActions(1)
    before = Session.objects.values().get()
    for _ in range(3):
        for path in METHODS:
            assert ask(alice.client, path).status_code == 204
    assert Session.objects.values().get() == before
    assert alice.post("/auth/ws-ticket").status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/auth/nothing", "/posts/nothing/at/all", ""])
def test_an_unknown_route_is_404(anonymous: ContractClient, path: str) -> None:
    response = ask(anonymous, path)
    assert response.status_code == 404
    assert response.json()["code"] == "NOT_FOUND"


def test_a_405_names_the_methods_of_the_route(
    alice: Person,
) -> None:
    response = alice.delete("/auth/profile")
    assert response.status_code == 405
    assert set(response["Allow"].split(", ")) == METHODS["/auth/profile"] | {"OPTIONS"}
