"""What becomes of a mail that the mail server refuses."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.jobs.models import Job
from apps.mail.tests.links import send
from apps.mail.tests.mailbox import Mailbox
from testing.client import ContractClient

ALICE = "alice@example.com"
GREETING, QUIT = b"220 mail\r\n", b"QUIT"


@contextmanager
def mail_server(**replies: str) -> Iterator[int]:
    """Run a mail server that answers commands with these replies, and any other with 250."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(GREETING)
            for line in self.rfile:
                command = line[:4].decode().strip().upper()
                self.wfile.write(f"{replies.get(command, '250 fine')}\r\n".encode())
                if line.startswith(QUIT):
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("replies", "status", "error"),
    [
        (
            {"RCPT": "550 unknown"},
            "failed",
            "MailRefused: The mail server refuses the address (550)",
        ),
        ({"RCPT": "451 later"}, "pending", "MailDelayed: The mail server asks to come back later"),
        ({"MAIL": "553 not you"}, "pending", "MailDelayed: The mail server refuses EMAIL_FROM"),
        ({"DATA": "554 spam"}, "failed", "MailRefused: The mail server refuses the address (554)"),
    ],
)
def test_a_final_refusal_ends_the_job_and_others_are_tried_again(
    alice: Person,
    anonymous: ContractClient,
    mailbox: Mailbox,
    settings: Any,
    replies: dict[str, str],
    status: str,
    error: str,
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    send(anonymous, "password/reset", email=ALICE)
    with mail_server(**replies) as settings.EMAIL_PORT:
        settings.EMAIL_HOST = "127.0.0.1"
        mailbox.work()
    job = Job.objects.get()
    assert job.status == status
    assert job.error.startswith(error)
    assert ALICE not in job.error


def test_a_mail_server_that_is_away_is_tried_again(
    alice: Person, anonymous: ContractClient, mailbox: Mailbox, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    send(anonymous, "password/reset", email=ALICE)
    mailbox.work()
    assert Job.objects.get().status == "pending"
