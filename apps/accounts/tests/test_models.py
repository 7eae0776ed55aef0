"""What the database itself refuses, and the permissions of roles in the admin's pages."""

from datetime import timedelta
from typing import Any

import pytest
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
def test_database_refuses_a_user_with_a_wrong_value(
    alice: Person, bob: Person, wrong: dict[str, Any]
) -> None:
    """The database holds these rules too, for writes that bypass the services."""
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=alice.user.pk).update(**wrong)
    alice.user.refresh_from_db()
    assert (alice.user.role, alice.user.status) == ("user", "active")


def test_a_name_steers_no_terminal_of_an_operator() -> None:
    """Commands show it, such as erase_user when it asks."""
    ada = User(name="Ada\x1b[2J\nBob \N{SAILBOAT}\x9b1m", email="ada@example.com")
    assert str(ada) == "Ada\ufffd[2J\ufffdBob \N{SAILBOAT}\ufffd1m <ada@example.com>"


def test_database_refuses_a_session_that_expires_before_it_begins(alice: Person) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Session.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert Session.objects.get().expires_at > timezone.now()


def test_sessions_are_deleted_with_their_user(alice: Person, bob: Person) -> None:
    alice.user.delete()
    assert Session.objects.get().user == bob.user


def test_administrator_has_every_permission_and_moderator_may_view() -> None:
    admin, moderator, plain = (User(role=role) for role in ("admin", "moderator", "user"))
    permissions = [
        [user.has_perm(f"posts.{what}_post") for what in ("view", "change")]
        for user in (admin, moderator, plain)
    ]
    assert permissions == [[True, True], [True, False], [False, False]]
    assert [user.is_staff for user in (admin, moderator, plain)] == [True, True, False]
