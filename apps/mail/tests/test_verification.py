"""Alice shows that mail to an address reaches them."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from apps.accounts.locks import user_locked
from apps.accounts.models import User
from apps.accounts.tests.people import PASSWORD, Person
from apps.core.errors import Invalid
from apps.core.tests.together import together
from apps.jobs.models import Job
from apps.mail.links import link_find, link_use
from apps.mail.models import MailedLink
from apps.mail.tests.links import AUTH, refused, unknown_client
from apps.mail.tests.mailbox import Mailbox, text_of
from testing.client import ContractClient
from testing.queries import statements

ALICE = "alice@example.com"
NEWCOMER = {"name": "Alice", "email": ALICE, "password": PASSWORD}


@pytest.fixture
def newcomer(mailbox: Mailbox, anonymous: ContractClient) -> ContractClient:
    """Alice, who has just registered."""
    assert anonymous.post(f"{AUTH}/register", NEWCOMER).status_code == 201
    return anonymous


def verify(client: ContractClient, token: str) -> Any:
    return client.post(f"{AUTH}/email/verify", {"token": token})


def resend(client: ContractClient, email: str = ALICE) -> Any:
    return client.post(f"{AUTH}/email/verify/resend", {"email": email})


def is_verified() -> bool:
    return User.objects.get(email=ALICE).email_verified


def test_alice_verifies_her_address_with_the_mail_of_her_registration(
    newcomer: ContractClient, mailbox: Mailbox
) -> None:
    [mail] = mailbox.mails(ALICE)
    assert "Confirm your e-mail address" in mail["Subject"]
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert "Alice" not in text_of(mail)
    assert not is_verified()
    token = mailbox.token(ALICE)
    assert verify(newcomer, token).status_code == 200
    assert is_verified()
    assert refused(verify(newcomer, token))


def test_a_refused_registration_mails_nothing(newcomer: ContractClient, mailbox: Mailbox) -> None:
    assert len(mailbox.mails()) == 1
    assert newcomer.post(f"{AUTH}/register", NEWCOMER).status_code == 409
    assert len(mailbox.mails()) == 1


def test_the_table_and_the_jobs_do_not_hold_the_token(
    newcomer: ContractClient, mailbox: Mailbox
) -> None:
    token = mailbox.token(ALICE)
    held = [*MailedLink.objects.values(), *Job.objects.values()]
    assert held
    assert token not in str(held)


def test_an_expired_link_is_refused(newcomer: ContractClient, mailbox: Mailbox) -> None:
    token = mailbox.token(ALICE)
    link = MailedLink.objects.get()
    days = (link.expires_at - timezone.now()) / timedelta(days=1)
    assert 2.9 < days <= 3
    MailedLink.objects.update(expires_at=timezone.now())
    assert refused(verify(newcomer, token))
    assert not is_verified()


def test_a_password_change_makes_the_link_void(newcomer: ContractClient, mailbox: Mailbox) -> None:
    token = mailbox.token(ALICE)
    User.objects.update(password="another hash")
    assert refused(verify(newcomer, token))
    assert not is_verified()


def test_an_unknown_token_is_refused(newcomer: ContractClient) -> None:
    assert refused(verify(newcomer, "x" * 43))


def test_a_job_that_is_repeated_sends_the_same_mail(
    newcomer: ContractClient, mailbox: Mailbox
) -> None:
    token = mailbox.token(ALICE)
    Job.objects.update(
        status="pending", due_at=timezone.now(), finished_at=None, lease=None, attempts=0
    )
    first, second = mailbox.mails(ALICE)
    assert first["Message-ID"] == second["Message-ID"]
    assert text_of(first) == text_of(second)
    assert verify(newcomer, token).status_code == 200


def test_a_repeated_job_does_not_make_a_used_link_good_again(
    newcomer: ContractClient, mailbox: Mailbox
) -> None:
    token = mailbox.token(ALICE)
    assert verify(newcomer, token).status_code == 200
    User.objects.update(email_verified=False)
    Job.objects.update(
        status="pending", due_at=timezone.now(), finished_at=None, lease=None, attempts=0
    )
    assert len(mailbox.mails(ALICE)) == 2
    assert refused(verify(newcomer, token))


def test_resending_answers_alike_and_asks_the_database_alike_for_unknown_addresses(
    newcomer: ContractClient, mailbox: Mailbox
) -> None:
    with statements() as for_alice:
        known = resend(newcomer)
    with statements() as for_nobody:
        unknown = resend(newcomer, "nobody@example.com")
    assert known.json()["message"] == unknown.json()["message"]
    assert known.status_code == unknown.status_code == 200
    assert [one.split("(")[0] for one in for_alice] == [one.split("(")[0] for one in for_nobody]
    assert len(mailbox.mails(ALICE)) == 2
    assert mailbox.mails("nobody@example.com") == []
    assert verify(newcomer, mailbox.token(ALICE)).status_code == 200


def test_a_verified_user_is_mailed_nothing(newcomer: ContractClient, mailbox: Mailbox) -> None:
    verify(newcomer, mailbox.token(ALICE))
    assert resend(newcomer).status_code == 200
    assert len(mailbox.mails()) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("limit", ["mail_address", "mail_network"])
def test_resending_is_limited(settings: Any, limit: str) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(**{limit: 2})
    client, email = unknown_client()
    assert [resend(client, email).status_code for _ in range(3)] == [200, 200, 429]
    assert Job.objects.count() == 2


def test_nobody_is_mailed_more_than_five_links_an_hour(
    newcomer: ContractClient, mailbox: Mailbox
) -> None:
    for _ in range(7):
        assert resend(newcomer).status_code == 200
    assert len(mailbox.mails()) == 5


@pytest.mark.django_db(transaction=True)
def test_of_two_requests_with_one_link_one_wins(newcomer: ContractClient, mailbox: Mailbox) -> None:
    token = mailbox.token(ALICE)
    answers = together(*[lambda: verify(ContractClient(), token).status_code] * 2)
    assert sorted(map(int, answers)) == [200, 422]  # type: ignore[arg-type]


def test_a_link_that_was_used_since_it_was_found_is_refused(
    newcomer: ContractClient, mailbox: Mailbox
) -> None:
    token = mailbox.token(ALICE)
    link = link_find(token, "verify")
    assert verify(newcomer, token).status_code == 200
    with pytest.raises(Invalid), transaction.atomic():
        link_use(link, user_locked(link.user_id))


def test_opening_the_page_does_nothing_and_its_button_verifies(
    newcomer: ContractClient, mailbox: Mailbox
) -> None:
    token = mailbox.token(ALICE)
    for method in (newcomer.get, newcomer.head):
        page = method("/account/verify")
        assert page.status_code == 200
        assert (page["Cache-Control"], page["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert not is_verified()
    form = {"token": token}
    done = newcomer.post("/account/verify", form, format="multipart")
    assert "Your address is confirmed." in done.content.decode()
    assert is_verified()
    again = newcomer.post("/account/verify", form, format="multipart")
    assert again.status_code == 422
    assert "The link is not valid" in again.content.decode()


def test_the_link_leads_to_the_page_with_the_token_in_its_fragment(
    newcomer: ContractClient, mailbox: Mailbox, settings: Any
) -> None:
    text = text_of(mailbox.latest(ALICE))
    assert f"{settings.APP_URL}/account/verify#{mailbox.token(ALICE)}" in text


def test_alice_does_not_verify_with_a_link_for_another_purpose(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient
) -> None:
    anonymous.post(f"{AUTH}/password/reset", {"email": ALICE})
    assert refused(verify(anonymous, mailbox.token(ALICE)))
    assert not is_verified()
