"""Sending the mail of a job."""

import smtplib
from collections.abc import Mapping
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from apps.jobs.steps import current_job
from apps.mail.errors import MailRefused
from apps.mail.letters import Letter

# Replies from this one on are final (RFC 5321, 4.2.1).
PERMANENT = 500


class MailDelayed(Exception):
    """The mail server does not take the mail now."""


def send(letter: Letter, to: str, mail_id: UUID | None = None) -> None:
    """Hand a letter over to the mail server; raise MailRefused if it refuses the address for good,
    and what the connection raises. No exception names the address, since jobs keep its text.

    The mail has the given id, or else that of the job, so that servers and readers drop what a
    repeated job sends.
    """
    host = urlsplit(settings.APP_URL).hostname
    shown = {"letter": letter, "name": settings.APP_NAME, "server": settings.APP_URL}
    mail = EmailMultiAlternatives(
        subject=f"[{settings.APP_NAME}] {letter.subject}",
        body=render_to_string("mail/letter.txt", shown),
        to=[to],
        headers={
            "Message-ID": f"<{mail_id or current_job().id}@{host}>",
            # No machine answers it (RFC 3834).
            "Auto-Submitted": "auto-generated",
            **_unsubscribing(letter.unsubscribe_url),
        },
    )
    mail.attach_alternative(render_to_string("mail/letter.html", shown), "text/html")
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as refused:
        [(code, _)] = refused.recipients.values()
        raise _failure(code) from None
    except smtplib.SMTPDataError as refused:
        raise _failure(refused.smtp_code) from None
    except smtplib.SMTPSenderRefused as refused:
        # The address of the server is wrong, which the operator may correct.
        raise MailDelayed(f"The mail server refuses EMAIL_FROM ({refused.smtp_code})") from None


def _unsubscribing(url: str) -> Mapping[str, str]:
    """Return the headers that give readers of mail a button to stop such mails (RFC 8058)."""
    if not url:
        return {}
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def _failure(code: int) -> Exception:
    if code >= PERMANENT:
        return MailRefused(f"{MailRefused.message} ({code})")
    return MailDelayed(f"The mail server asks to come back later ({code})")
