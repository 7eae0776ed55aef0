"""What the database itself refuses, whoever writes, and what the admin's pages may do."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import Session, User
from apps.accounts.tests.people import Person


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "Alice@example.com"},
        {"email": "bob@example.com"},
        {"email": "\u017fam@example.com"},
        {"email": "alice@b\xfccher.example"},
        {"email": "alice\x01@example.com"},
        {"role": "king"},
        {"role": ""},
        {"status": "asleep"},
        {"version": -1},
        {"name": None},
    ],
    ids=str,
)
def test_a_wrong_user_is_refused(alice: Person, bob: Person, wrong: dict[str, Any]) -> None:
    """Original defect 41: no CHECK on status or type."""
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=alice.user.pk).update(**wrong)
    alice.user.refresh_from_db()
    assert (alice.user.role, alice.user.status) == ("user", "active")


def test_a_session_does_not_end_before_it_begins(alice: Person) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Session.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert Session.objects.get().expires_at > timezone.now()


def test_sessions_go_with_their_user(alice: Person, bob: Person) -> None:
    alice.user.delete()
    assert Session.objects.get().user == bob.user


def test_a_superuser_is_an_administrator_under_an_address_in_lower_case(db: Any) -> None:
    root = User.objects.create_superuser(email="Root@Example.com", password="x", name="Root")
    assert (root.email, root.role) == ("root@example.com", "admin")
    assert root.check_password("x")


@pytest.mark.parametrize("email", ["ROOT@example.com", "root@EXAMPLE.com"])
def test_a_superuser_s_address_is_taken_in_any_spelling(db: Any, email: str) -> None:
    create_superuser("root@example.com")
    with pytest.raises(CommandError, match="already taken"):
        create_superuser(email)
    assert User.objects.count() == 1


def test_a_superuser_s_address_is_spelled_like_any_other(db: Any) -> None:
    create_superuser("Root@B\xdcCHER.example")
    assert User.objects.get().email == "root@xn--bcher-kva.example"
    with pytest.raises(CommandError, match="ASCII"):
        create_superuser("ro\u0131t@example.com")
    assert User.objects.count() == 1


def create_superuser(email: str) -> None:
    call_command("createsuperuser", interactive=False, email=email, name="Root")


def test_an_administrator_may_all_and_a_moderator_look() -> None:
    admin, moderator, user = (User(role=role) for role in ("admin", "moderator", "user"))
    permissions = [
        [who.has_perm(f"posts.{what}_post") for what in ("view", "change")]
        for who in (admin, moderator, user)
    ]
    assert permissions == [[True, True], [True, False], [False, False]]
    assert [who.is_staff for who in (admin, moderator, user)] == [True, True, False]
