"""Mail as its readers see it: in the files that the backend `file:` writes."""

import email
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from apps.jobs.attempts import attempt
from apps.jobs.leases import jobs_take
from apps.jobs.tasks import QUEUES

# Django's file backend writes it between mails.
RULE = re.compile(r"^-{79}\n", re.MULTILINE)


@dataclass(frozen=True)
class Mailbox:
    """The folder of all mails that were sent."""

    folder: Path

    def work(self) -> None:
        """Do all jobs that wait, as a worker does."""
        while jobs := jobs_take("worker", QUEUES, 10):
            for job in jobs:
                attempt(job)

    def mails(self, to: str = "") -> Sequence[EmailMessage]:
        """Return the mails to an address, the oldest first, after all jobs are done."""
        self.work()
        files = sorted(self.folder.glob("*"), key=lambda file: file.stat().st_mtime_ns)
        parts = [part for file in files for part in RULE.split(file.read_text()) if part.strip()]
        found = [email.message_from_string(part, policy=default) for part in parts]
        return [mail for mail in found if to in mail["To"]]

    def latest(self, to: str) -> EmailMessage:
        """Return the latest mail to an address."""
        return self.mails(to)[-1]

    def token(self, to: str) -> str:
        """Return the token in the link of the latest mail to an address."""
        [found] = set(re.findall(r"https?://\S+#(\S+)", text_of(self.latest(to))))
        return str(found)


def text_of(mail: EmailMessage) -> str:
    """Return the text that a plain reader of mail shows."""
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())
