"""POST /auth/password/change."""

from typing import Any

import pytest
from pytest_django import Settings

from apps.accounts.models import Session, User
from apps.accounts.tests.people import PASSWORD, Person
from testing.client import ContractClient

NEW = "battery staple 7"


def change(person: Person, **changes: Any) -> Any:
    body = {"currentPassword": PASSWORD, "newPassword": NEW} | changes
    return person.post("/auth/password/change", body)


def login_status(client: ContractClient, password: str) -> int:
    body = {"email": "alice@example.com", "password": password}
    status: int = client.post("/api/v1/auth/login", body).status_code
    return status


def test_new_password_logs_in_and_old_password_does_not(
    alice: Person, anonymous: ContractClient
) -> None:
    response = change(alice)
    assert response.status_code == 200
    assert response.json()["message"] == "Password changed"
    assert login_status(anonymous, NEW) == 200
    assert login_status(anonymous, PASSWORD) == 401


def test_password_change_ends_every_other_session_and_keeps_this_one(
    alice: Person, bob: Person, anonymous: ContractClient
) -> None:
    """The access tokens of the other sessions stop working at once, before they expire."""
    tablet = alice.another_device()
    change(alice)
    assert tablet.get("/auth/profile").status_code == 401
    refreshed = anonymous.post("/api/v1/auth/refresh", {"refreshToken": tablet.refresh})
    assert refreshed.status_code == 401
    assert alice.get("/auth/profile").status_code == 200
    refreshed = anonymous.post("/api/v1/auth/refresh", {"refreshToken": alice.refresh})
    assert refreshed.status_code == 200
    assert bob.get("/auth/profile").status_code == 200


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"currentPassword": "not hers"}, "currentPassword", "wrong_password"),
        ({"currentPassword": None}, "currentPassword", "null"),
        ({"newPassword": "short 1"}, "newPassword", "min_length"),
        ({"newPassword": "password1"}, "newPassword", "password_too_common"),
        ({"newPassword": "alice@example"}, "newPassword", "password_too_similar"),
        ({"newPassword": "x1" * 65}, "newPassword", "max_length"),
        ({"newPassword": 12345678}, "newPassword", "invalid"),
    ],
)
def test_a_refused_change_changes_nothing(
    alice: Person, changes: dict[str, Any], field: str, code: str
) -> None:
    alice.another_device()
    before = User.objects.values().get()
    response = change(alice, **changes)
    assert response.status_code == 422
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [(field, code)]
    assert User.objects.values().get() == before
    assert Session.objects.filter(ended_at=None).count() == 2


def test_alice_is_refused_after_too_many_password_changes(
    alice: Person, anonymous: ContractClient, settings: Settings
) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(password=2)
    for _ in range(2):
        assert change(alice, currentPassword="a guess").status_code == 422
    assert change(alice).status_code == 429
    assert login_status(anonymous, PASSWORD) == 200


def test_anonymous_user_cannot_change_a_password(anonymous: ContractClient) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    assert anonymous.post("/api/v1/auth/password/change", body).status_code == 401
