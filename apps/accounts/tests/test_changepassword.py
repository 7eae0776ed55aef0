"""manage.py changepassword: it ends every session of the user and changes nothing else."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import User
from apps.accounts.tests.people import PASSWORD, Person, set_status
from testing.client import ContractClient

pytestmark = pytest.mark.django_db

NEW = "battery staple 7"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that makes the operator type the given passwords, one after the other."""

    def type_passwords(*passwords: str, meanwhile: Callable[[], Any] = lambda: None) -> None:
        remaining: Iterator[str] = iter(passwords)

        def ask(prompt: str) -> str:
            meanwhile()
            return next(remaining)

        monkeypatch.setattr("getpass.getpass", ask)

    return type_passwords


def login_status(password: str) -> int:
    body = {"email": "alice@example.com", "password": password}
    status: int = ContractClient().post("/api/v1/auth/login", body).status_code
    return status


def test_a_new_password_ends_every_session(
    alice: Person, bob: Person, typed: Callable[..., None]
) -> None:
    tablet = alice.another_device()
    typed(NEW, NEW)
    call_command("changepassword", "alice@example.com")
    assert [one.get("/auth/profile").status_code for one in (alice, tablet)] == [401, 401]
    assert bob.get("/auth/profile").status_code == 200
    assert (login_status(NEW), login_status(PASSWORD)) == (200, 401)


def test_changepassword_does_not_undo_a_ban_set_while_the_password_is_typed(
    alice: Person, typed: Callable[..., None]
) -> None:
    typed(NEW, NEW, meanwhile=lambda: set_status(alice.user, User.Status.BANNED))
    call_command("changepassword", "alice@example.com")
    assert User.objects.get().status == User.Status.BANNED


@pytest.mark.parametrize(
    ("email", "first", "second", "sentence"),
    [
        ("nobody@example.com", NEW, NEW, "There is no such user"),
        ("\u0430lice@example.com", NEW, NEW, "There is no such user"),
        ("alice@example.com", NEW, f"{NEW} ", "not the same"),
        ("alice@example.com", "password1", "password1", "too common"),
        ("alice@example.com", "alice@example", "alice@example", "too similar"),
        ("alice@example.com", "x1" * 65, "x1" * 65, "no more than 128"),
    ],
    ids=ascii,
)
def test_refused_changepassword_changes_nothing(
    alice: Person, typed: Callable[..., None], email: str, first: str, second: str, sentence: str
) -> None:
    typed(first, second)
    with pytest.raises(CommandError, match=sentence):
        call_command("changepassword", email)
    assert login_status(PASSWORD) == 200
    assert alice.get("/auth/profile").status_code == 200
