"""A user who is suspended, banned or deleted is logged out at once, on every device."""

import pytest

from apps.accounts.errors import MayNotSetStatus, SessionOver
from apps.accounts.models import Session, User
from apps.accounts.policies import may_set_status
from apps.accounts.statuses import user_set_status
from apps.accounts.tests.people import PASSWORD, Person, redeem, set_status
from apps.accounts.tickets import ticket_issue
from testing.client import ContractClient

disabling = pytest.mark.parametrize("status", ["suspended", "banned", "pending"])


def refresh_status(client: ContractClient, token: str) -> int:
    status: int = client.post("/api/v1/auth/refresh", {"refreshToken": token}).status_code
    return status


@disabling
def test_disabled_user_is_logged_out_on_every_device(
    alice: Person, bob: Person, anonymous: ContractClient, status: str
) -> None:
    """The access tokens stop working at once, before they expire."""
    tablet = alice.another_device()
    set_status(alice.user, status)
    for device in (alice, tablet):
        assert device.get("/auth/profile").status_code == 401
        assert refresh_status(anonymous, device.refresh) == 401
    assert bob.get("/auth/profile").status_code == 200


@disabling
def test_disabled_user_cannot_redeem_a_ticket(alice: Person, status: str) -> None:
    ticket = ticket_issue(alice.user, session=Session.objects.get())
    set_status(alice.user, status)
    with pytest.raises(SessionOver):
        redeem(ticket)


def test_status_that_is_set_without_the_service_is_enforced(alice: Person) -> None:
    User.objects.update(status=User.Status.BANNED)
    assert alice.get("/auth/profile").status_code == 401


def test_reinstated_user_has_to_log_in_again(alice: Person, anonymous: ContractClient) -> None:
    set_status(alice.user, "suspended")
    set_status(alice.user, "active")
    assert alice.get("/auth/profile").status_code == 401
    assert refresh_status(anonymous, alice.refresh) == 401
    body = {"email": "alice@example.com", "password": PASSWORD}
    assert anonymous.post("/api/v1/auth/login", body).status_code == 200


def test_deleted_user_is_logged_out_at_once(alice: Person, anonymous: ContractClient) -> None:
    alice.user.delete()
    assert alice.get("/auth/profile").status_code == 401
    assert refresh_status(anonymous, alice.refresh) == 401


def test_status_change_increments_the_version_of_the_profile(alice: Person) -> None:
    set_status(alice.user, "active")
    assert User.objects.get().version == 2
    assert alice.get("/auth/profile").status_code == 200


def test_moderator_cannot_undo_a_concurrent_ban(alice: Person, moderator: Person) -> None:
    """The moderator acts on the status that the page showed, which has changed since."""
    shown = User.objects.get(pk=alice.user.pk)
    set_status(alice.user, User.Status.BANNED)
    for status in (User.Status.SUSPENDED, User.Status.ACTIVE):
        with pytest.raises(MayNotSetStatus):
            user_set_status(moderator.user, user=shown, status=status)
    assert User.objects.get(pk=alice.user.pk).status == User.Status.BANNED


USER, MODERATOR, ADMIN = User.Role.USER, User.Role.MODERATOR, User.Role.ADMIN
STATUSES = set(User.Status)


@pytest.mark.parametrize(
    ("actor", "role", "status", "allowed"),
    [
        (USER, USER, "active", set()),
        (MODERATOR, USER, "active", {"active", "suspended"}),
        (MODERATOR, USER, "suspended", {"active", "suspended"}),
        (MODERATOR, USER, "banned", set()),
        (MODERATOR, USER, "pending", set()),
        (MODERATOR, MODERATOR, "active", set()),
        (MODERATOR, ADMIN, "active", set()),
        (ADMIN, USER, "banned", STATUSES),
        (ADMIN, MODERATOR, "active", STATUSES),
        (ADMIN, ADMIN, "suspended", STATUSES),
    ],
)
def test_actor_may_set_only_the_statuses_of_their_role(
    actor: str, role: str, status: str, allowed: set[str]
) -> None:
    user = User(role=role, status=status)
    assert {one for one in STATUSES if may_set_status(User(role=actor), user, one)} == allowed


@pytest.mark.parametrize("role", [USER, MODERATOR, ADMIN])
def test_nobody_may_set_their_own_status(role: str) -> None:
    user = User(role=role)
    assert not [one for one in STATUSES if may_set_status(user, user, one)]
