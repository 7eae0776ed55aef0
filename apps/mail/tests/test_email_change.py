"""Alice changes the address of their account, and takes it back after somebody else has."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.tests.people import PASSWORD, Person
from apps.core.tests.together import together
from apps.mail.models import MailedLink
from apps.mail.tests.links import refused, send
from apps.mail.tests.mailbox import Mailbox
from testing.client import ContractClient

OLD, NEW = "alice@example.com", "ada@example.org"


def ask(person: Person, email: str = NEW, password: str = PASSWORD) -> Any:
    return person.post("/auth/email/change", {"newEmail": email, "currentPassword": password})


def confirm(client: ContractClient, token: str) -> Any:
    return send(client, "email/change/confirm", token=token)


def undo(client: ContractClient, token: str) -> Any:
    return send(client, "email/change/undo", token=token)


def email_of(person: Person) -> tuple[str, bool]:
    user = User.objects.get(pk=person.user.pk)
    return user.email, user.email_verified


@pytest.fixture
def token(alice: Person, mailbox: Mailbox) -> str:
    """The token that was mailed to the address that Alice wants."""
    assert ask(alice).status_code == 200
    return mailbox.token(NEW)


@pytest.fixture
def undo_token(token: str, mailbox: Mailbox, anonymous: ContractClient) -> str:
    """The token that was mailed to the old address after the change."""
    assert confirm(anonymous, token).status_code == 200
    return mailbox.token(OLD)


def test_the_new_address_is_hers_when_it_confirms(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient, token: str
) -> None:
    assert email_of(alice) == (OLD, False)
    assert mailbox.mails(OLD) == []
    assert confirm(anonymous, token).status_code == 200
    assert email_of(alice) == (NEW, True)
    assert alice.get("/auth/profile").json()["data"]["email"] == NEW
    assert "was changed" in mailbox.latest(OLD)["Subject"]
    assert refused(confirm(anonymous, token))
    login = send(anonymous, "login", email=NEW, password=PASSWORD)
    assert login.status_code == 200


@pytest.mark.parametrize(
    ("email", "password", "status", "code"),
    [
        (NEW, "not hers", 422, "wrong_password"),
        (OLD, PASSWORD, 422, "unchanged"),
        ("nonsense", PASSWORD, 422, "invalid"),
        ("bob@example.com", PASSWORD, 409, None),
    ],
)
def test_a_refused_request_mails_nothing(
    alice: Person, bob: Person, mailbox: Mailbox, email: str, password: str, status: int, code: str
) -> None:
    response = ask(alice, email, password)
    assert response.status_code == status
    assert [one["code"] for one in response.json().get("errors", ())] == ([code] if code else [])
    assert mailbox.mails() == []


def test_the_change_needs_a_session_and_is_limited(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient, settings: Any
) -> None:
    body = {"newEmail": NEW, "currentPassword": PASSWORD}
    assert anonymous.post("/api/v1/auth/email/change", body).status_code == 401
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(email_change=1)
    assert [ask(alice).status_code for _ in range(2)] == [200, 429]


def test_an_address_that_is_taken_meanwhile_is_refused_and_the_link_stays(
    alice: Person, bob: Person, anonymous: ContractClient, token: str
) -> None:
    User.objects.filter(pk=bob.user.pk).update(email=NEW)
    assert confirm(anonymous, token).status_code == 409
    assert email_of(alice) == (OLD, False)
    User.objects.filter(pk=bob.user.pk).update(email="bob@example.com")
    assert confirm(anonymous, token).status_code == 200


def test_a_password_change_makes_the_link_void(
    alice: Person, anonymous: ContractClient, token: str
) -> None:
    change = {"currentPassword": PASSWORD, "newPassword": "third horse 8"}
    assert alice.post("/auth/password/change", change).status_code == 200
    assert refused(confirm(anonymous, token))
    assert email_of(alice) == (OLD, False)


def test_a_password_change_before_the_mail_is_sent_keeps_it_from_being_sent(
    alice: Person, mailbox: Mailbox
) -> None:
    ask(alice)
    change = {"currentPassword": PASSWORD, "newPassword": "third horse 8"}
    assert alice.post("/auth/password/change", change).status_code == 200
    assert [mail["Subject"] for mail in mailbox.mails()] == ["[Parley] Your password was changed"]


def test_an_expired_link_is_refused(alice: Person, anonymous: ContractClient, token: str) -> None:
    MailedLink.objects.update(expires_at=timezone.now())
    assert refused(confirm(anonymous, token))
    assert email_of(alice) == (OLD, False)


def test_the_tokens_of_change_and_undo_are_not_good_for_each_other(
    alice: Person, anonymous: ContractClient, token: str
) -> None:
    assert refused(undo(anonymous, token))
    assert refused(send(anonymous, "email/verify", token=token))
    assert refused(send(anonymous, "password/reset/confirm", token=token, newPassword="horse 99x"))
    assert email_of(alice) == (OLD, False)


@pytest.mark.django_db(transaction=True)
def test_of_two_users_who_want_one_address_one_gets_it(
    alice: Person, bob: Person, mailbox: Mailbox
) -> None:
    tokens = []
    for person in (alice, bob):
        ask(person)
        tokens.append(mailbox.token(NEW))
    answers = together(
        *[lambda one=one: confirm(ContractClient(), one).status_code for one in tokens]
    )
    assert sorted(map(int, answers)) == [200, 409]  # type: ignore[arg-type]
    assert User.objects.filter(email=NEW).count() == 1


def test_the_old_address_takes_the_account_back(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient, undo_token: str
) -> None:
    link = MailedLink.objects.get(purpose="undo")
    assert timedelta(days=6.9) < link.expires_at - timezone.now() <= timedelta(days=7)
    assert undo(anonymous, undo_token).status_code == 200
    assert email_of(alice) == (OLD, True)
    assert alice.get("/auth/profile").status_code == 401
    assert send(anonymous, "login", email=OLD, password=PASSWORD).status_code == 401
    reset = mailbox.token(OLD)
    body = {"token": reset, "newPassword": "third horse 8"}
    assert send(anonymous, "password/reset/confirm", **body).status_code == 200
    assert send(anonymous, "login", email=OLD, password="third horse 8").status_code == 200
    assert refused(undo(anonymous, undo_token))


def test_a_thief_who_changes_password_and_address_again_cannot_keep_the_account(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient, undo_token: str
) -> None:
    change = {"currentPassword": PASSWORD, "newPassword": "thieving horse 8"}
    assert alice.post("/auth/password/change", change).status_code == 200
    ask(alice, "thief@example.net", "thieving horse 8")
    assert confirm(anonymous, mailbox.token("thief@example.net")).status_code == 200
    undo_of_thief = mailbox.token(NEW)
    assert undo(anonymous, undo_token).status_code == 200
    assert email_of(alice) == (OLD, True)
    assert refused(undo(anonymous, undo_of_thief))
    assert email_of(alice) == (OLD, True)


def test_undoing_a_later_change_leaves_the_earlier_one_undoable(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient, undo_token: str
) -> None:
    ask(alice, "thief@example.net")
    assert confirm(anonymous, mailbox.token("thief@example.net")).status_code == 200
    assert undo(anonymous, mailbox.token(NEW)).status_code == 200
    assert email_of(alice)[0] == NEW
    assert undo(anonymous, undo_token).status_code == 200
    assert email_of(alice)[0] == OLD


def test_an_undo_to_an_address_that_is_taken_changes_nothing(
    alice: Person, bob: Person, anonymous: ContractClient, undo_token: str
) -> None:
    User.objects.filter(pk=bob.user.pk).update(email=OLD)
    assert undo(anonymous, undo_token).status_code == 409
    assert email_of(alice) == (NEW, True)
    assert alice.get("/auth/profile").status_code == 200


@pytest.mark.parametrize("page", ["change", "undo"])
def test_opening_the_pages_does_nothing(
    alice: Person, anonymous: ContractClient, token: str, page: str
) -> None:
    assert anonymous.get(f"/account/{page}").status_code == 200
    assert email_of(alice) == (OLD, False)
    form = {"token": "x" * 43}
    assert anonymous.post(f"/account/{page}", form, format="multipart").status_code == 422
    assert anonymous.put(f"/account/{page}", form, format="multipart").status_code == 405
    assert email_of(alice) == (OLD, False)


def test_the_page_changes_the_address(
    alice: Person, anonymous: ContractClient, token: str, mailbox: Mailbox
) -> None:
    form = {"token": token}
    assert anonymous.post("/account/change", form, format="multipart").status_code == 200
    assert email_of(alice) == (NEW, True)
    form = {"token": mailbox.token(OLD)}
    assert anonymous.post("/account/undo", form, format="multipart").status_code == 200
    assert email_of(alice) == (OLD, True)
