"""A login beside a change of the password or of the status that it was compared with."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher, make_password
from django.db import connection

from apps.accounts.models import Session, User
from apps.accounts.tests.people import PASSWORD, Person
from apps.core.tests.together import overlapping, together
from testing.client import ContractClient

NEW = "battery staple 7"
OLD_HASH = MD5PasswordHasher().encode(PASSWORD, "short")

Between = Callable[[Callable[[], Any]], None]


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Between:
    """Have something happen right after the next comparison of a password, before what follows."""
    compare = MD5PasswordHasher.verify

    def arrange(happens: Callable[[], Any]) -> None:
        def compare_then(hasher: MD5PasswordHasher, password: str, encoded: str) -> bool:
            monkeypatch.setattr(MD5PasswordHasher, "verify", compare)
            right = compare(hasher, password, encoded)
            happens()
            return right

        monkeypatch.setattr(MD5PasswordHasher, "verify", compare_then)

    return arrange


def log_in(password: str = PASSWORD) -> Any:
    body = {"email": "alice@example.com", "password": password}
    return ContractClient().post("/api/v1/auth/login", body)


def change_password(person: Person) -> Any:
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    return person.post("/auth/password/change", body)


def active_sessions() -> int:
    return Session.objects.filter(ended_at=None).count()


def test_the_old_password_is_of_no_use_once_it_is_changed(alice: Person, between: Between) -> None:
    between(lambda: change_password(alice))
    assert log_in().status_code == 401
    assert Session.objects.count() == 1
    assert alice.get("/auth/profile").status_code == 200
    assert log_in(NEW).status_code == 200


@pytest.mark.parametrize("status", ["suspended", "banned", "pending"])
def test_who_is_shut_out_meanwhile_does_not_come_in(
    alice: Person, between: Between, status: str
) -> None:
    between(lambda: User.objects.update(status=status))
    assert log_in().status_code == 401
    assert Session.objects.count() == 1


def test_who_is_deleted_meanwhile_does_not_come_in(alice: Person, between: Between) -> None:
    between(alice.user.delete)
    assert log_in().status_code == 401
    assert not Session.objects.exists()


def test_a_hash_made_anew_for_the_same_password_lets_in(alice: Person, between: Between) -> None:
    """Two devices log in at once while the hash is still an old one: either may renew it."""
    User.objects.update(password=OLD_HASH)
    between(log_in)
    assert log_in().status_code == 200
    assert active_sessions() == 3


def test_an_old_hash_is_renewed_by_a_login(alice: Person) -> None:
    User.objects.update(password=OLD_HASH)
    assert log_in("not hers").status_code == 401
    assert User.objects.get().password == OLD_HASH
    assert log_in().status_code == 200
    assert User.objects.get().password != OLD_HASH
    assert log_in().status_code == 200


def test_renewing_a_hash_does_not_undo_a_change_of_the_password(
    alice: Person, between: Between
) -> None:
    User.objects.update(password=OLD_HASH)
    between(lambda: change_password(alice))
    assert log_in().status_code == 401
    assert log_in(NEW).status_code == 200


def test_comparing_a_password_saves_nothing(alice: Person) -> None:
    User.objects.update(password=OLD_HASH)
    assert User.objects.get().check_password(PASSWORD)
    assert User.objects.get().password == OLD_HASH


def test_of_two_changes_with_the_same_password_the_later_one_is_refused(
    alice: Person, between: Between
) -> None:
    tablet = alice.another_device()
    between(lambda: change_password(tablet))
    body = {"currentPassword": PASSWORD, "newPassword": "wrong donkey 8"}
    response = alice.post("/auth/password/change", body)
    assert response.status_code == 422
    assert [e["code"] for e in response.json()["errors"]] == ["wrong_password"]
    assert log_in(NEW).status_code == 200


def test_a_session_that_has_ended_meanwhile_changes_no_password(
    alice: Person, between: Between
) -> None:
    """A thief who is being shut out must not shut the others out."""
    tablet = alice.another_device()
    between(lambda: tablet.post("/auth/logout"))
    assert change_password(tablet).status_code == 401
    assert alice.get("/auth/profile").status_code == 200
    assert log_in().status_code == 200


@pytest.mark.django_db(transaction=True)
def test_no_session_of_the_old_password_outlives_its_change(
    alice: Person, between: Between
) -> None:
    """The same with threads: both go on at the moment when the comparison is done."""
    for _ in range(10):
        User.objects.update(password=make_password(PASSWORD))
        compared = threading.Barrier(2)
        between(lambda compared=compared: compared.wait(timeout=10))  # type: ignore[misc]

        def change(compared: threading.Barrier = compared) -> Any:
            compared.wait(timeout=10)
            return change_password(alice)

        answers: list[Any] = together(log_in, change)
        assert [answer.status_code for answer in answers] in ([200, 200], [401, 200])
        assert active_sessions() == 1
        assert alice.get("/auth/profile").status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="Writers wait for each other on SQLite.")
def test_a_login_waits_for_a_change_of_the_password_that_is_not_committed_yet(
    alice: Person,
) -> None:
    changed, login = overlapping(lambda: change_password(alice), log_in)
    assert (changed.status_code, login.status_code) == (200, 401)
    assert active_sessions() == 1
