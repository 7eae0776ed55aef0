"""One password is one password, however its characters are composed."""

import unicodedata
from typing import Any

import pytest
from django.core.management import call_command

from apps.accounts.models import User
from apps.accounts.tests.people import PASSWORD, Person
from apps.core.testing.client import ContractClient

COMPOSED = unicodedata.normalize("NFC", "crème brûlée 9")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
both_ways = pytest.mark.parametrize(
    ("first", "then"),
    [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)],
    ids=["composed first", "decomposed first"],
)


def register(client: ContractClient, password: str) -> Any:
    body = {"name": "Dora", "email": "dora@example.com", "password": password}
    return client.post("/api/v1/auth/register", body)


def login_status(client: ContractClient, email: str, password: str) -> int:
    body = {"email": email, "password": password}
    status: int = client.post("/api/v1/auth/login", body).status_code
    return status


@both_ways
def test_who_registers_on_one_keyboard_logs_in_on_another(
    nobody: ContractClient, db: Any, first: str, then: str
) -> None:
    assert register(nobody, first).status_code == 201
    assert login_status(nobody, "dora@example.com", then) == 200


@both_ways
def test_a_changed_password_too(
    alice: Person, nobody: ContractClient, first: str, then: str
) -> None:
    for current, new in ((PASSWORD, first), (then, "battery staple 7")):
        body = {"currentPassword": current, "newPassword": new}
        assert alice.post("/auth/password/change", body).status_code == 200
    assert login_status(nobody, "alice@example.com", "battery staple 7") == 200


@both_ways
def test_a_password_of_a_command_too(
    nobody: ContractClient, db: Any, monkeypatch: pytest.MonkeyPatch, first: str, then: str
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", first)
    call_command("createsuperuser", interactive=False, email="root@example.com", name="Root")
    assert login_status(nobody, "root@example.com", then) == 200
    assert User.objects.get().check_password(then)


def test_accents_are_not_dropped(nobody: ContractClient, db: Any) -> None:
    register(nobody, COMPOSED)
    assert login_status(nobody, "dora@example.com", "creme brulee 9") == 401


@pytest.mark.parametrize(
    ("characters", "registered", "logged_in"),
    [(7, 422, 401), (8, 201, 200), (128, 201, 200), (129, 422, 422)],
)
def test_a_length_is_that_of_the_composed_password(
    nobody: ContractClient, db: Any, characters: int, registered: int, logged_in: int
) -> None:
    password = unicodedata.normalize("NFD", ("éàüôñçš" * 19)[:characters])
    assert len(password) == 2 * characters
    assert register(nobody, password).status_code == registered
    assert login_status(nobody, "dora@example.com", password) == logged_in
