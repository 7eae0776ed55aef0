"""Administrators set the roles of others, and an administrator always remains."""

from itertools import product
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection

from apps.accounts.errors import MayNotSetRole, MayNotSetStatus
from apps.accounts.models import Session, User
from apps.accounts.policies import may_set_role
from apps.accounts.roles import user_set_role
from apps.accounts.statuses import user_set_status
from apps.accounts.tests.people import Person, person, set_status
from apps.core.tests.together import overlapping
from apps.core.trace import trace
from apps.posts.tests.factories import published_by
from testing.server import until

USER, MODERATOR, ADMIN = User.Role.USER, User.Role.MODERATOR, User.Role.ADMIN


@pytest.fixture
def ada(db: Any) -> Person:
    return person("Ada", ADMIN)


@pytest.fixture
def ben(db: Any) -> Person:
    return person("Ben", ADMIN)


def role_of(person: Person) -> str:
    return User.objects.get(pk=person.user.pk).role


@pytest.mark.parametrize(("actor", "role"), list(product(User.Role, User.Role)))
def test_only_administrators_set_roles(actor: str, role: str) -> None:
    assert may_set_role(User(role=actor), User(role=role)) == (actor == ADMIN)


def test_nobody_sets_their_own_role() -> None:
    user = User(role=ADMIN)
    assert not may_set_role(user, user)


def test_a_role_leaves_its_trace_and_a_promotion_ends_no_session(ada: Person, bob: Person) -> None:
    user_set_role(ada.user, user=bob.user, role=MODERATOR)
    entry = LogEntry.objects.get()
    assert (entry.user_id, entry.object_id) == (ada.user.pk, bob.id)
    assert entry.change_message == "role: user → moderator"
    assert bob.get("/auth/profile").json()["data"]["role"] == "moderator"


@pytest.mark.parametrize("role", [USER, MODERATOR])
def test_who_is_demoted_is_logged_out_everywhere(ada: Person, ben: Person, role: str) -> None:
    assert ben.get("/auth/profile").status_code == 200
    user_set_role(ada.user, user=ben.user, role=role)
    assert ben.get("/auth/profile").status_code == 401
    assert not Session.objects.filter(user=ben.user, ended_at=None).exists()


@pytest.mark.parametrize("who", ["moderator", "bob", "suspended", "ada"])
def test_a_refused_role_changes_nothing(
    request: pytest.FixtureRequest, ada: Person, bob: Person, who: str
) -> None:
    if who == "suspended":
        actor = person("Sam", ADMIN)
        set_status(actor.user, User.Status.SUSPENDED)
    else:
        actor = request.getfixturevalue(who)
    before = list(User.objects.order_by("pk").values())
    with pytest.raises(MayNotSetRole):
        user_set_role(actor.user, user=ada.user, role=USER)
    assert list(User.objects.order_by("pk").values()) == before
    assert not LogEntry.objects.exists()


def test_who_was_demoted_since_they_were_read_has_no_powers(
    ada: Person, ben: Person, bob: Person
) -> None:
    """Ben's request had read its user before Ada demoted them."""
    user_set_role(ada.user, user=ben.user, role=USER)
    assert ben.user.role == ADMIN
    with pytest.raises(MayNotSetRole):
        user_set_role(ben.user, user=ada.user, role=USER)
    with pytest.raises(MayNotSetStatus):
        user_set_status(ben.user, user=bob.user, status=User.Status.SUSPENDED)
    assert (role_of(ada), bob.get("/auth/profile").status_code) == (ADMIN, 200)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite writes in turn.")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by_status", [False, True])
def test_two_administrators_who_demote_each_other_leave_one(
    ada: Person, ben: Person, by_status: bool
) -> None:
    def demote() -> None:
        user_set_role(ben.user, user=ada.user, role=USER)

    def ban() -> None:
        user_set_status(ben.user, user=ada.user, status=User.Status.BANNED)

    def refused() -> None:
        with pytest.raises((MayNotSetRole, MayNotSetStatus)):
            ban() if by_status else demote()

    overlapping(lambda: user_set_role(ada.user, user=ben.user, role=USER), refused)
    assert (role_of(ada), role_of(ben)) == (ADMIN, USER)
    assert User.objects.get(pk=ada.user.pk).is_active


@pytest.mark.integration
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite serves one process.")
def test_the_other_process_lets_a_demoted_moderator_delete_nothing(
    start_server: Any, moderator: Person, alice: Person
) -> None:
    """The server has remembered the moderator's token, and this process demotes them."""
    there = start_server(CACHE_SECONDS="3600")
    ada, post = person("Ada", ADMIN), published_by(alice)
    headers = {"Authorization": f"Bearer {moderator.access}"}

    def ask(method: str, path: str) -> int:
        status: int = there.call(method, f"/api/v1{path}", headers=headers).status_code
        return status

    assert ask("GET", "/auth/profile") == 200
    user_set_role(ada.user, user=moderator.user, role=USER)
    until(lambda: ask("GET", "/auth/profile") == 401)
    assert ask("DELETE", f"/posts/{post.pk}") == 401
    post.refresh_from_db()
    assert post.deleted_at is None


@pytest.mark.django_db(transaction=True)
def test_nothing_is_traced_outside_of_its_transaction(ada: Person, bob: Person) -> None:
    with pytest.raises(RuntimeError, match="inside the transaction"):
        trace(ada.user, bob.user, role=("user", "moderator"))
    assert not LogEntry.objects.exists()
