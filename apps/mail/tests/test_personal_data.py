"""What mail keeps of Alice goes with her."""

from apps.accounts.erasing import user_erase
from apps.accounts.tests.people import Person
from apps.jobs.models import Job
from apps.mail.models import MailedLink
from apps.mail.tests.links import send
from apps.mail.tests.mailbox import Mailbox
from testing.client import ContractClient


def test_an_erased_user_leaves_no_mail(
    alice: Person, bob: Person, mailbox: Mailbox, anonymous: ContractClient
) -> None:
    for person in (alice, bob):
        send(anonymous, "password/reset", email=person.user.email)
    mailbox.work()
    erasure = user_erase(alice.user.pk)
    assert erasure.erased["mails"] == erasure.erased["mailed links"] == 1
    assert erasure.remains == {}
    assert [link.user for link in MailedLink.objects.all()] == [bob.user]
    assert Job.objects.count() == 1
