"""The clock, the mailbox and the push service of the tests of notifications."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from apps.accounts.tests.people import Person
from apps.jobs.models import Job
from apps.mail.tests.conftest import mailbox
from apps.mail.tests.mailbox import Mailbox
from apps.notifications.tests.push_service import PushService, make_certificate, push_service_on

__all__ = ["mailbox"]

START = datetime(2100, 1, 15, 12, tzinfo=UTC)


class Clock:
    """A clock that only tests move. It begins at noon of a day that the database's has not reached,
    so no job is due by itself."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.now = START
        self._mailbox = mailbox
        self._started = timezone.now

    def pass_to(self, text: str) -> None:
        """Move to a time of the year in UTC, as `01-15 12:05`, and do the jobs that are due."""
        self.now = at(text)
        self.work()

    def work(self) -> None:
        """Do the jobs that are due now, and those that these store for now."""
        pending = Job.objects.filter(status=Job.Status.PENDING)
        while pending.filter(due_at__lte=self.now).update(
            due_at=self._started() - timedelta(seconds=1)
        ):
            self._mailbox.work()


def at(text: str) -> datetime:
    """Return a time in UTC of the year of the clock."""
    return datetime.strptime(f"2100-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


@pytest.fixture
def clock(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(mailbox)
    monkeypatch.setattr(timezone, "now", lambda: made.now)
    return made


@pytest.fixture
def verified(alice: Person) -> Person:
    """Alice, whose address is verified."""
    alice.user.email_verified = True
    alice.user.save(update_fields=["email_verified"])
    return alice


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def push_service(certificate: Path) -> Iterator[PushService]:
    with push_service_on(certificate) as service:
        yield service
