"""Alice has forgotten a password."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import Session, User
from apps.accounts.tests.people import PASSWORD, Person, set_status
from apps.core.tests.together import together
from apps.jobs.models import Job
from apps.mail.models import MailedLink
from apps.mail.tests.links import refused, send, unknown_client
from apps.mail.tests.mailbox import Mailbox, text_of
from testing.client import ContractClient
from testing.queries import statements

ALICE = "alice@example.com"
NEW = "battery staple 7"


def ask(client: ContractClient, email: str = ALICE) -> Any:
    return send(client, "password/reset", email=email)


def confirm(client: ContractClient, token: str, password: str = NEW) -> Any:
    return send(client, "password/reset/confirm", token=token, newPassword=password)


def logs_in(client: ContractClient, password: str) -> bool:
    status: int = send(client, "login", email=ALICE, password=password).status_code
    return status == 200


@pytest.fixture
def token(alice: Person, mailbox: Mailbox, anonymous: ContractClient) -> str:
    """The token of the mail that Alice has asked for."""
    assert ask(anonymous).status_code == 200
    return mailbox.token(ALICE)


def test_alice_chooses_a_new_password_which_ends_every_session(
    alice: Person, bob: Person, mailbox: Mailbox, anonymous: ContractClient, token: str
) -> None:
    tablet = alice.another_device()
    assert confirm(anonymous, token).status_code == 200
    assert [one.get("/auth/profile").status_code for one in (alice, tablet, bob)] == [401, 401, 200]
    assert "Your password was changed" in mailbox.latest(ALICE)["Subject"]
    assert logs_in(anonymous, NEW)
    assert not logs_in(anonymous, PASSWORD)
    assert User.objects.get(email=ALICE).email_verified


def test_a_link_is_good_once(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient, token: str
) -> None:
    confirm(anonymous, token)
    assert refused(confirm(anonymous, token, "third horse 8"))
    assert logs_in(anonymous, NEW)


def test_a_reset_makes_the_other_links_void(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient, token: str
) -> None:
    ask(anonymous)
    other = mailbox.token(ALICE)
    assert other != token
    assert confirm(anonymous, other).status_code == 200
    assert refused(confirm(anonymous, token, "third horse 8"))
    assert logs_in(anonymous, NEW)


def test_a_password_change_makes_the_link_void(
    alice: Person, anonymous: ContractClient, token: str
) -> None:
    change = {"currentPassword": PASSWORD, "newPassword": "third horse 8"}
    assert alice.post("/auth/password/change", change).status_code == 200
    assert refused(confirm(anonymous, token))
    assert logs_in(anonymous, "third horse 8")


def test_a_change_of_address_makes_the_link_void(
    alice: Person, anonymous: ContractClient, token: str
) -> None:
    User.objects.filter(pk=alice.user.pk).update(email="ada@example.com")
    assert refused(confirm(anonymous, token))


def test_an_expired_link_is_refused_and_changes_nothing(
    alice: Person, anonymous: ContractClient, token: str
) -> None:
    link = MailedLink.objects.get()
    assert timedelta(minutes=59) < link.expires_at - timezone.now() <= timedelta(hours=1)
    MailedLink.objects.update(expires_at=timezone.now())
    before = User.objects.values().get()
    assert refused(confirm(anonymous, token))
    assert User.objects.values().get() == before
    assert alice.get("/auth/profile").status_code == 200


def test_a_weak_password_does_not_use_up_the_link(
    alice: Person, anonymous: ContractClient, token: str
) -> None:
    for weak, code in (("short", "min_length"), ("alice@example", "password_too_similar")):
        response = confirm(anonymous, token, weak)
        assert response.status_code == 422
        assert [error["code"] for error in response.json()["errors"]] == [code]
    assert confirm(anonymous, token).status_code == 200


def test_a_wrong_token_costs_no_hash(
    alice: Person, anonymous: ContractClient, hashed: list[str]
) -> None:
    hashed.clear()
    assert refused(confirm(anonymous, "x" * 43))
    assert hashed == []


def test_asking_is_alike_for_unknown_addresses(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient, hashed: list[str]
) -> None:
    hashed.clear()
    with statements() as for_alice:
        known = ask(anonymous)
    with statements() as for_nobody:
        unknown = ask(anonymous, "nobody@example.com")
    assert (known.status_code, known.json()["message"]) == (200, unknown.json()["message"])
    assert [one.split("(")[0] for one in for_alice] == [one.split("(")[0] for one in for_nobody]
    assert hashed == []
    assert [mail["To"] for mail in mailbox.mails()] == [ALICE]


@pytest.mark.django_db
@pytest.mark.parametrize("limit", ["mail_address", "mail_network"])
def test_asking_is_limited(settings: Any, limit: str) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(**{limit: 2})
    client, email = unknown_client()
    assert [ask(client, email).status_code for _ in range(3)] == [200, 200, 429]
    assert Job.objects.count() == 2


def test_a_suspended_user_is_mailed_nothing(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient
) -> None:
    set_status(alice.user, User.Status.SUSPENDED)
    assert ask(anonymous).status_code == 200
    assert mailbox.mails() == []


@pytest.mark.django_db(transaction=True)
def test_of_two_passwords_at_once_one_is_taken(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient, token: str
) -> None:
    passwords = ("second horse 7", "third horse 8")
    answers = together(
        *[lambda one=one: confirm(ContractClient(), token, one).status_code for one in passwords]
    )
    assert sorted(map(int, answers)) == [200, 422]  # type: ignore[arg-type]
    assert logs_in(anonymous, passwords[answers.index(200)])
    changed = [mail for mail in mailbox.mails(ALICE) if "was changed" in mail["Subject"]]
    assert len(changed) == 1


def test_opening_the_page_does_nothing_and_its_form_sets_the_password(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient, token: str
) -> None:
    page = anonymous.get("/account/reset").content.decode()
    assert 'name="newPassword"' in page
    assert token not in page
    assert alice.get("/auth/profile").status_code == 200
    form = {"token": token, "newPassword": "short"}
    weak = anonymous.post("/account/reset", form, format="multipart")
    assert weak.status_code == 422
    assert token in weak.content.decode()
    form["newPassword"] = NEW
    assert anonymous.post("/account/reset", form, format="multipart").status_code == 200
    assert Session.objects.filter(ended_at=None).count() == 0
    assert logs_in(anonymous, NEW)


def test_the_mail_says_how_long_the_link_is_good(mailbox: Mailbox, token: str) -> None:
    assert "good for 1 hour" in text_of(mailbox.latest(ALICE))
