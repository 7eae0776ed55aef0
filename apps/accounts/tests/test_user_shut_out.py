"""Who is suspended, banned or deleted is out at once, on every device."""

import pytest

from apps.accounts.errors import MayNotSetStatus, SessionOver
from apps.accounts.models import Session, User
from apps.accounts.policies import may_set_status
from apps.accounts.statuses import user_set_status
from apps.accounts.tests.people import PASSWORD, Person, set_status
from apps.accounts.tickets import ticket_issue, ticket_redeem
from testing.client import ContractClient

disabling = pytest.mark.parametrize("status", ["suspended", "banned", "pending"])


def refresh_status(client: ContractClient, token: str) -> int:
    status: int = client.post("/api/v1/auth/refresh", {"refreshToken": token}).status_code
    return status


@disabling
def test_a_disabled_user_is_out_on_every_device(
    alice: Person, bob: Person, anonymous: ContractClient, status: str
) -> None:
    """Original defect 33: a ban never reached a live access token."""
    tablet = alice.another_device()
    set_status(alice.user, status)
    for device in (alice, tablet):
        assert device.get("/auth/profile").status_code == 401
        assert refresh_status(anonymous, device.refresh) == 401
    assert bob.get("/auth/profile").status_code == 200


@disabling
def test_a_disabled_user_cannot_come_in_by_a_ticket(alice: Person, status: str) -> None:
    ticket = ticket_issue(alice.user, session=Session.objects.get())
    set_status(alice.user, status)
    with pytest.raises(SessionOver):
        ticket_redeem(ticket=ticket)


def test_a_status_that_is_set_past_the_service_counts_too(alice: Person) -> None:
    User.objects.update(status=User.Status.BANNED)
    assert alice.get("/auth/profile").status_code == 401


def test_who_is_let_in_again_has_to_log_in_again(alice: Person, anonymous: ContractClient) -> None:
    set_status(alice.user, "suspended")
    set_status(alice.user, "active")
    assert alice.get("/auth/profile").status_code == 401
    assert refresh_status(anonymous, alice.refresh) == 401
    body = {"email": "alice@example.com", "password": PASSWORD}
    assert anonymous.post("/api/v1/auth/login", body).status_code == 200


def test_a_deleted_user_is_out_at_once(alice: Person, anonymous: ContractClient) -> None:
    alice.user.delete()
    assert alice.get("/auth/profile").status_code == 401
    assert refresh_status(anonymous, alice.refresh) == 401


def test_a_change_of_status_is_a_new_version_of_the_profile(alice: Person) -> None:
    set_status(alice.user, "active")
    assert User.objects.get().version == 2
    assert alice.get("/auth/profile").status_code == 200


def test_a_ban_beside_a_moderator_s_click_is_not_undone(alice: Person, moderator: Person) -> None:
    """The moderator acts on what the page showed, which is not so any more."""
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
def test_who_may_give_whom_which_status(
    actor: str, role: str, status: str, allowed: set[str]
) -> None:
    user = User(role=role, status=status)
    assert {one for one in STATUSES if may_set_status(User(role=actor), user, one)} == allowed


@pytest.mark.parametrize("role", [USER, MODERATOR, ADMIN])
def test_nobody_sets_their_own_status(role: str) -> None:
    user = User(role=role)
    assert not [one for one in STATUSES if may_set_status(user, user, one)]
