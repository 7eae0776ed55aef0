"""A sink keeps what arrives, and answers when it may."""

import asyncio
import smtplib
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID, uuid4

from apps.notifications.tests.push_service import make_certificate, network_at
from apps.notifications.web_push import Result, Sender, Target, web_push
from testing.chaos.journal import Arrived
from testing.chaos.sinks import MailServer, PushService

BEN = "ben@example.com"
POST = str(uuid4())
ID = UUID(int=7)


def send(port: int) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["To"], mail["Message-ID"] = f"New post: {POST}", BEN, f"<{ID}@here>"
    mail.set_content("Ahoy\n.\nand a line that is a dot")
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.send_message(mail, "ada@example.com")


async def mail_that_waits_for_its_answer() -> None:
    mails = MailServer()
    async with mails.open():
        with mails.unanswered() as came:
            sending = asyncio.create_task(asyncio.to_thread(send, mails.port))
            await came.wait()
            assert not sending.done()
        await sending
    assert mails.arrived == [Arrived("email", BEN, POST, f"<{ID}@here>")]


def test_a_mail_that_arrived_is_kept_and_then_answered() -> None:
    asyncio.run(mail_that_waits_for_its_answer())


async def push_with(certificate: Path) -> None:
    pushes = PushService(certificate)
    subscription = pushes.subscription(BEN)
    target = Target(subscription["endpoint"], **subscription["keys"])
    async with pushes.open():
        us = Sender("a secret " * 8, "https://parley.example.com")
        network = network_at(pushes.port, certificate)
        outcome = await asyncio.to_thread(
            web_push, target, {"title": f"New post: {POST}"}, ID, us, network
        )
    assert outcome.result is Result.SENT
    assert pushes.arrived == [Arrived("push", BEN, POST, str(ID))]


def test_a_push_is_read_as_its_browser_reads_it(tmp_path: Path) -> None:
    asyncio.run(push_with(make_certificate(tmp_path)))
