"""A user is told by mail that their password was changed."""

from typing import Any

from apps.accounts.tests.people import PASSWORD, Person
from apps.jobs.models import Job
from apps.mail.tests.mailbox import Mailbox, text_of

ALICE = "alice@example.com"


def change(person: Person, **changes: Any) -> int:
    body = {"currentPassword": PASSWORD, "newPassword": "battery staple 7"} | changes
    status: int = person.post("/auth/password/change", body).status_code
    return status


def test_alice_is_told_of_a_change_with_what_to_do_if_it_was_not_hers(
    alice: Person, bob: Person, mailbox: Mailbox
) -> None:
    assert change(alice) == 200
    [mail] = mailbox.mails()
    assert mail["To"] == ALICE
    assert "Your password was changed" in mail["Subject"]
    assert "reset your password now" in text_of(mail)
    assert "battery staple" not in text_of(mail)


def test_a_refused_change_mails_nothing(alice: Person, mailbox: Mailbox) -> None:
    before = Job.objects.count()
    assert change(alice, currentPassword="a guess") == 422
    assert change(alice, newPassword="password1") == 422
    assert Job.objects.count() == before
