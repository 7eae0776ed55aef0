"""A password is the same however its characters are composed."""

import unicodedata
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from apps.accounts import passwords
from apps.accounts.models import User
from apps.accounts.tests.people import PASSWORD, Person
from testing.client import ContractClient

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
def test_dora_registers_on_one_keyboard_and_logs_in_on_another(
    anonymous: ContractClient, db: Any, first: str, then: str
) -> None:
    assert register(anonymous, first).status_code == 201
    assert login_status(anonymous, "dora@example.com", then) == 200


@both_ways
def test_alice_changes_her_password_on_one_keyboard_and_logs_in_on_another(
    alice: Person, anonymous: ContractClient, first: str, then: str
) -> None:
    for current, new in ((PASSWORD, first), (then, "battery staple 7")):
        body = {"currentPassword": current, "newPassword": new}
        assert alice.post("/auth/password/change", body).status_code == 200
    assert login_status(anonymous, "alice@example.com", "battery staple 7") == 200


@both_ways
def test_administrator_gets_a_password_on_one_keyboard_and_logs_in_on_another(
    anonymous: ContractClient, db: Any, monkeypatch: pytest.MonkeyPatch, first: str, then: str
) -> None:
    monkeypatch.setenv("PARLEY_PASSWORD", first)
    call_command("create_admin", email="root@example.com", name="Root", stdout=StringIO())
    assert login_status(anonymous, "root@example.com", then) == 200
    assert User.objects.get().check_password(then)


def test_accents_are_not_dropped(anonymous: ContractClient, db: Any) -> None:
    register(anonymous, COMPOSED)
    assert login_status(anonymous, "dora@example.com", "creme brulee 9") == 401


@pytest.mark.parametrize(
    ("characters", "registered", "logged_in"),
    [(7, 422, 401), (8, 201, 200), (128, 201, 200), (129, 422, 422)],
)
def test_length_of_a_password_is_counted_in_its_composed_form(
    anonymous: ContractClient, db: Any, characters: int, registered: int, logged_in: int
) -> None:
    password = unicodedata.normalize("NFD", ("éàüôñçš" * 19)[:characters])
    assert len(password) == 2 * characters
    assert register(anonymous, password).status_code == registered
    assert login_status(anonymous, "dora@example.com", password) == logged_in


@pytest.mark.parametrize("route", ["login", "register"])
def test_password_that_is_too_long_in_any_form_is_not_normalised(
    anonymous: ContractClient, db: Any, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    """Normalising takes a time that grows with the square of the length, and blocks the process."""
    normalize, lengths = unicodedata.normalize, list[int]()

    def recorded(form: Any, text: str) -> str:
        lengths.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", recorded)
    accents = "\u0345\u0301\u0323\u0334" * 50_000
    body = {"name": "Dora", "email": "dora@example.com", "password": accents}
    response = anonymous.post(f"/api/v1/auth/{route}", body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "password"
    assert all(length <= passwords.MAX_RAW_LENGTH for length in lengths)
    assert not User.objects.exists()


def test_longest_password_may_be_typed_in_four_times_as_many_characters(
    anonymous: ContractClient, db: Any
) -> None:
    composed = "\u1f82" * 120 + "correct9"
    typed = unicodedata.normalize("NFD", composed)
    assert len(typed) == 4 * 120 + 8
    body = {"name": "Dora", "email": "dora@example.com", "password": typed}
    assert anonymous.post("/api/v1/auth/register", body).status_code == 201
    again = {"email": "dora@example.com", "password": composed}
    assert anonymous.post("/api/v1/auth/login", again).status_code == 200
