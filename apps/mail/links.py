"""Writes of mailed links. A link's row is locked after its user's, by the one that uses it."""

import hashlib
from base64 import urlsafe_b64encode
from datetime import timedelta
from uuid import UUID

from django.utils import timezone
from django.utils.crypto import salted_hmac

from apps.accounts.models import User
from apps.mail.errors import InvalidLink
from apps.mail.models import MailedLink

Purpose = MailedLink.Purpose

LIFETIMES = {
    Purpose.VERIFY: timedelta(days=3),
    Purpose.RESET: timedelta(hours=1),
    Purpose.CHANGE: timedelta(days=3),
    Purpose.UNDO: timedelta(days=7),
}
# A user is mailed at most so many links of a purpose within an hour, whatever asks for them.
MOST_AN_HOUR = 5
# How much longer than a link its row stays: no job is tried again after that.
KEPT = timedelta(days=1)


def state_of(user: User, purpose: str) -> str:
    """Return a digest of what a link depends on: the user's address and the hash of their password.

    The link that undoes a change of address depends on neither, since a thief of the account
    changes both.
    """
    if purpose == Purpose.UNDO:
        return ""
    return hashlib.sha256(f"{user.email} {user.password}".encode()).hexdigest()


def link_issue(job_id: UUID, *, user: User, purpose: str, email: str, state: str) -> str:
    """Store the link that a job mails, and return its token.

    A job that is repeated gets the same token. The mail may have arrived the first time, and what
    arrives later is dropped as the same mail.
    """
    token = _token_of(job_id)
    link = MailedLink(
        digest=_digest(token),
        user=user,
        purpose=purpose,
        email=email,
        state=state,
        expires_at=timezone.now() + LIFETIMES[Purpose(purpose)],
    )
    MailedLink.objects.bulk_create([link], ignore_conflicts=True)
    return token


def may_issue(job_id: UUID, *, user: User, purpose: str) -> bool:
    """Return whether the user may be mailed the link of this job now, besides those of others."""
    since = timezone.now() - timedelta(hours=1)
    recent = MailedLink.objects.filter(user=user, purpose=purpose, created_at__gt=since)
    return recent.exclude(pk=_digest(_token_of(job_id))).count() < MOST_AN_HOUR


def link_find(token: str, purpose: str) -> MailedLink:
    """Return the link with a token; raise InvalidLink. It writes nothing and locks nothing, so that
    a client with a wrong token delays nobody."""
    found = MailedLink.objects.filter(
        digest=_digest(token), purpose=purpose, used_at=None, expires_at__gt=timezone.now()
    ).first()
    if found is None:
        raise InvalidLink.token()
    return found


def link_use(link: MailedLink, user: User) -> None:
    """Use up a link of a user whose row the caller has locked; raise InvalidLink if it was used
    since it was found, or what it depends on has changed."""
    unused = MailedLink.objects.filter(pk=link.pk, used_at=None)
    if link.state != state_of(user, link.purpose) or not unused.update(used_at=timezone.now()):
        raise InvalidLink.token()


def links_end(user: User, *, since: MailedLink) -> None:
    """Use up all links of a user that were made since one. This is an action of the system, without
    an actor."""
    later = MailedLink.objects.filter(user=user, used_at=None, created_at__gte=since.created_at)
    later.update(used_at=timezone.now())


def links_prune() -> int:
    """Delete expired links and return how many there were. This is an action of the system, without
    an actor."""
    return MailedLink.objects.filter(expires_at__lt=timezone.now() - KEPT).delete()[0]


def links_end_restored(_: object) -> int:
    """Delete all links of a restored database, which does not know which ones were used since the
    backup, and return how many there were. This is an action of the system, without an actor."""
    return MailedLink.objects.all().delete()[0]


def _token_of(job_id: UUID) -> str:
    key = salted_hmac("apps.mail.links", str(job_id), algorithm="sha256").digest()
    return urlsafe_b64encode(key).decode().rstrip("=")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
