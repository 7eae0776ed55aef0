"""A login concurrent with a change of the password or the status of the user."""

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
    """A function that makes something happen right after the next comparison of a password."""
    compare = MD5PasswordHasher.verify

    def arrange(happens: Callable[[], Any]) -> None:
        def compare_then(hasher: MD5PasswordHasher, password: str, encoded: str) -> bool:
            monkeypatch.setattr(MD5PasswordHasher, "verify", compare)
            matches = compare(hasher, password, encoded)
            happens()
            return matches

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


def test_old_password_is_refused_when_it_changes_during_the_login(
    alice: Person, between: Between
) -> None:
    between(lambda: change_password(alice))
    assert log_in().status_code == 401
    assert Session.objects.count() == 1
    assert alice.get("/auth/profile").status_code == 200
    assert log_in(NEW).status_code == 200


@pytest.mark.parametrize("status", ["suspended", "banned", "pending"])
def test_user_who_is_disabled_during_the_login_is_refused(
    alice: Person, between: Between, status: str
) -> None:
    between(lambda: User.objects.update(status=status))
    assert log_in().status_code == 401
    assert Session.objects.count() == 1


def test_user_who_is_deleted_during_the_login_is_refused(alice: Person, between: Between) -> None:
    between(alice.user.delete)
    assert log_in().status_code == 401
    assert not Session.objects.exists()


def test_login_succeeds_when_another_login_renews_the_hash(alice: Person, between: Between) -> None:
    """Two devices log in at once while the hash is an old one: either may renew it."""
    User.objects.update(password=OLD_HASH)
    between(log_in)
    assert log_in().status_code == 200
    assert active_sessions() == 3


def test_login_renews_an_old_hash(alice: Person) -> None:
    User.objects.update(password=OLD_HASH)
    assert log_in("not hers").status_code == 401
    assert User.objects.get().password == OLD_HASH
    assert log_in().status_code == 200
    assert User.objects.get().password != OLD_HASH
    assert log_in().status_code == 200


def test_renewing_a_hash_does_not_undo_a_password_change(alice: Person, between: Between) -> None:
    User.objects.update(password=OLD_HASH)
    between(lambda: change_password(alice))
    assert log_in().status_code == 401
    assert log_in(NEW).status_code == 200


def test_comparing_a_password_saves_nothing(alice: Person) -> None:
    User.objects.update(password=OLD_HASH)
    assert User.objects.get().check_password(PASSWORD)
    assert User.objects.get().password == OLD_HASH


def test_second_of_two_concurrent_password_changes_is_refused(
    alice: Person, between: Between
) -> None:
    tablet = alice.another_device()
    between(lambda: change_password(tablet))
    body = {"currentPassword": PASSWORD, "newPassword": "wrong donkey 8"}
    response = alice.post("/auth/password/change", body)
    assert response.status_code == 422
    assert [e["code"] for e in response.json()["errors"]] == ["wrong_password"]
    assert log_in(NEW).status_code == 200


def test_session_that_ends_during_a_password_change_cannot_complete_it(
    alice: Person, between: Between
) -> None:
    """A thief whose session has ended must not end the owner's sessions."""
    tablet = alice.another_device()
    between(lambda: tablet.post("/auth/logout"))
    assert change_password(tablet).status_code == 401
    assert alice.get("/auth/profile").status_code == 200
    assert log_in().status_code == 200


@pytest.mark.django_db(transaction=True)
def test_no_session_of_the_old_password_survives_its_change(
    alice: Person, between: Between
) -> None:
    """With threads: the change continues at the moment when the login has compared."""
    for _ in range(10):
        User.objects.update(password=make_password(PASSWORD))
        compared = threading.Barrier(2)
        between(lambda compared=compared: compared.wait(timeout=10))  # type: ignore[misc]

        def change(compared: threading.Barrier = compared) -> Any:
            compared.wait(timeout=10)
            return change_password(alice)

        responses: list[Any] = together(log_in, change)
        assert [response.status_code for response in responses] in ([200, 200], [401, 200])
        assert active_sessions() == 1
        assert alice.get("/auth/profile").status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="Writers wait for each other on SQLite.")
def test_login_waits_for_an_uncommitted_password_change(
    alice: Person,
) -> None:
    changed, login = overlapping(lambda: change_password(alice), log_in)
    assert (changed.status_code, login.status_code) == (200, 401)
    assert active_sessions() == 1
