"""Writes of e-mail addresses. The lock order is in locks.py."""

from django.db import IntegrityError, transaction

from apps.accounts.errors import EmailTaken
from apps.accounts.models import User, user_tag
from apps.core.kept import drop_when_committed


def locked_email_verify(user: User, email: str) -> None:
    """Note that a user whose row the caller has locked reads the mail to an address, and make that
    their address; raise EmailTaken. It needs a transaction, which a refusal does not end. This is
    an action of the system, without an actor."""
    user.email, user.email_verified = email, True
    user.version += 1
    try:
        with transaction.atomic():
            user.save(update_fields=["email", "email_verified", "version", "updated_at"])
    except IntegrityError as error:
        raise EmailTaken from error
    drop_when_committed(user_tag(user.pk))
