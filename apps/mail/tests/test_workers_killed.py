"""A worker is killed at each point of the job of a mail, and another one goes on: the mail arrives,
and who gets it twice knows by its id."""

from collections import Counter
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.jobs.models import Job
from apps.jobs.tests.workers import (
    AFTER_IT_IS_TAKEN,
    AFTER_ITS_END,
    BEFORE_IT_IS_TAKEN,
    BEFORE_ITS_END_IS_WRITTEN,
    KillWorker,
    leases_end,
)
from apps.mail.tests.links import send
from apps.mail.tests.mailbox import Mailbox
from testing.client import ContractClient

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

ALICE = "alice@example.com"
AFTER_THE_EFFECT = ("after", "apps.mail.sending.EmailMultiAlternatives.send")


@pytest.mark.parametrize(
    ("point", "copies"),
    [
        (BEFORE_IT_IS_TAKEN, 1),
        (AFTER_IT_IS_TAKEN, 1),
        (AFTER_THE_EFFECT, 2),
        (BEFORE_ITS_END_IS_WRITTEN, 2),
        (AFTER_ITS_END, 1),
    ],
)
def test_a_mail_arrives_and_its_repetition_has_the_same_id(
    alice: Person,
    anonymous: ContractClient,
    mailbox: Mailbox,
    kill_worker: KillWorker,
    settings: Any,
    point: tuple[str, str],
    copies: int,
) -> None:
    send(anonymous, "password/reset", email=ALICE)
    here = {
        "django.conf.settings.EMAIL_BACKEND": settings.EMAIL_BACKEND,
        "django.conf.settings.EMAIL_FILE_PATH": str(mailbox.folder),
    }
    kill_worker(*point, **here)
    leases_end()
    arrived = Counter(mail["Message-ID"] for mail in mailbox.mails(ALICE))
    job = Job.objects.get(task__endswith="password_reset_mail")
    assert job.status == "completed"
    [(message_id, found)] = arrived.items()
    assert str(job.pk) in message_id
    assert found == copies
    # Each copy has the same link, so whichever the reader keeps is good.
    body = {"token": mailbox.token(ALICE), "newPassword": "battery staple 7"}
    assert send(anonymous, "password/reset/confirm", **body).status_code == 200
