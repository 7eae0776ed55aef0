"""Passwords are hashed outside of transactions, with the current parameters."""

from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, MD5PasswordHasher
from django.db import connection
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.tests.people import PASSWORD, Person
from apps.core.tests.together import together
from testing.client import ContractClient

NEW = "battery staple 7"
KEY = {"Idempotency-Key": "a-key"}


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A list that gets, for each hashed password, whether a transaction was open."""
    inside = []
    encode = MD5PasswordHasher.encode

    def recorded(hasher: MD5PasswordHasher, password: str, salt: str) -> str:
        inside.append(connection.in_atomic_block)
        return encode(hasher, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", recorded)
    return inside


def register(email: str = "dora@example.com") -> Any:
    body = {"name": "Dora", "email": email, "password": PASSWORD}
    return ContractClient().post("/api/v1/auth/register", body)


def log_in(email: str = "alice@example.com", password: str = PASSWORD) -> Any:
    body = {"email": email, "password": password}
    return ContractClient().post("/api/v1/auth/login", body)


def change(person: Person, current: str = PASSWORD, new: str = NEW, **headers: str) -> Any:
    body = {"currentPassword": current, "newPassword": new}
    return person.post("/auth/password/change", body, **headers)


def log_in_to_the_admin(password: str = PASSWORD) -> Any:
    form = {"username": "alice@example.com", "password": password}
    return Client().post("/admin/login/", form)


HASHING: dict[str, Any] = {
    "registering": lambda alice: register(),
    "registering an address that is taken": lambda alice: register("alice@example.com"),
    "logging in": lambda alice: log_in(),
    "a wrong password": lambda alice: log_in(password="not hers"),
    "an unknown address": lambda alice: log_in("nobody@example.com"),
    "the admin's pages": lambda alice: log_in_to_the_admin(),
    "the admin's pages and a wrong password": lambda alice: log_in_to_the_admin("not hers"),
    "a change of password": change,
    "a change with a wrong password": lambda alice: change(alice, current="not hers"),
    "a change with a key": lambda alice: change(alice, **KEY),
    "a wrong change with a key": lambda alice: change(alice, current="not hers", **KEY),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("call", HASHING.values(), ids=HASHING)
def test_no_transaction_is_open_while_a_password_is_hashed(
    alice: Person, hashing: list[bool], call: Any
) -> None:
    User.objects.update(role=User.Role.MODERATOR)
    assert call(alice).status_code < 500
    assert hashing
    assert not any(hashing)


@pytest.mark.django_db(transaction=True)
def test_an_old_hash_is_renewed_outside_of_a_transaction(
    alice: Person, hashing: list[bool]
) -> None:
    User.objects.update(password=MD5PasswordHasher().encode(PASSWORD, "short"))
    hashing.clear()
    assert log_in().status_code == 200
    assert hashing == [False, False]


def test_stored_response_is_sent_again_without_hashing(alice: Person, hashing: list[bool]) -> None:
    first = change(alice, **KEY)
    hashing.clear()
    again = change(alice, **KEY)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again["Idempotent-Replayed"] == "true"
    assert hashing == []


@pytest.mark.django_db(transaction=True)
def test_only_one_of_several_changes_with_the_same_key_takes_effect(alice: Person) -> None:
    def alice_again() -> Person:
        client = ContractClient(headers={"Authorization": f"Bearer {alice.access}"})
        return Person(alice.user, client, alice.access, alice.refresh)

    responses: list[Any] = together(*[lambda: change(alice_again(), **KEY)] * 4)
    statuses = [response.status_code for response in responses]
    assert 200 in statuses
    assert set(statuses) <= {200, 409}
    assert sum("Idempotent-Replayed" not in r for r in responses if r.status_code == 200) == 1
    assert log_in(password=NEW).status_code == 200


def test_refusal_before_the_transaction_is_stored_under_its_key(
    alice: Person, hashing: list[bool]
) -> None:
    first = change(alice, new="password1", **KEY)
    hashing.clear()
    again = change(alice, new="password1", **KEY)
    assert (first.status_code, again.status_code) == (422, 422)
    assert again["Idempotent-Replayed"] == "true"
    assert hashing == []
    assert log_in().status_code == 200


@pytest.fixture
def _argon2(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["apps.accounts.passwords.Argon2Hasher"]


@pytest.mark.usefixtures("_argon2")
def test_hash_has_the_parameters_that_owasp_recommends(db: Any) -> None:
    register()
    assert User.objects.get().password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.usefixtures("_argon2")
def test_hash_with_other_parameters_still_works_and_is_renewed(alice: Person) -> None:
    hasher = Argon2PasswordHasher()
    User.objects.update(password=hasher.encode(PASSWORD, hasher.salt()))
    assert log_in().status_code == 200
    assert "$m=19456,t=2,p=1$" in User.objects.get().password
    assert log_in().status_code == 200
