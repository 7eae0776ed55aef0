"""Writes of accounts. Lock order: a user's row, then their sessions' rows by id.

What begins a session with a password is in logins.py, what sessions do then in sessions.py. A
password is never hashed inside a transaction.

Who writes is the `actor`, the first parameter of what a user does; whether they may is decided
here, under the locks. What has no actor, an act of the system, says so.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts import passwords
from apps.accounts.errors import (
    InvalidToken,
    MayNotSetStatus,
    NothingToChange,
    SessionNotFound,
    SessionOver,
    UserNotFound,
    WrongPassword,
)
from apps.accounts.models import Session, User, WebsocketTicket
from apps.accounts.policies import may_set_status, owns
from apps.accounts.selectors import active_sessions, session_active
from apps.accounts.sessions import locked_sessions_end, sessions_end, sessions_locked
from apps.core.errors import require
from apps.core.http.conditional import require_match

TICKET_SECONDS = 30
TICKETS_KEPT = 10


@dataclass(frozen=True)
class PasswordChange:
    """A change of password whose slow part is done: the hash that the present password was compared
    with, and that of the new one."""

    compared_with: str
    new_hash: str


@transaction.atomic
def profile_update(
    actor: User, *, name: str | None = None, bio: str | None = None, if_match: str = ""
) -> User:
    """Change what is given of the actor's profile; raise NothingToChange or PreconditionFailed."""
    changes = {key: value for key, value in (("name", name), ("bio", bio)) if value is not None}
    if not changes:
        raise NothingToChange
    locked = user_locked(actor.pk)
    require_match(if_match, str(locked.version))
    for key, value in changes.items():
        setattr(locked, key, value)
    locked.version += 1
    locked.save(update_fields=[*changes, "version", "updated_at"])
    return locked


def password_change_prepare(
    actor: User, *, current_password: str, new_password: str
) -> PasswordChange:
    """Do the slow part of a change of the actor's password, outside of any transaction; raise
    WrongPassword or Invalid."""
    if not passwords.verify(current_password, actor.password).right:
        raise WrongPassword.current()
    passwords.require_good(new_password, actor, "newPassword")
    return PasswordChange(actor.password, passwords.hashed(new_password))


@transaction.atomic
def password_change(actor: User, *, change: PasswordChange, session_id: UUID) -> User:
    """Change the actor's password, end every session of theirs but the one that it is changed in,
    and return them.

    Raises WrongPassword if the password was changed since the present one was compared, and
    SessionOver if this session has ended since, or its person was shut out: they must not shut the
    others out.
    """
    user = user_locked(actor.pk)
    if user.password != change.compared_with:
        raise WrongPassword.current()
    living = sessions_locked(active_sessions().filter(user=user))
    if not user.is_active or session_id not in living:
        raise SessionOver
    user.password = change.new_hash
    user.save(update_fields=["password", "updated_at"])
    locked_sessions_end([one for one in living if one != session_id])
    return user


def password_set(*, user: User, new_password: str) -> None:
    """Give a person a new password and end all of their sessions; raise Invalid.

    An act of the system: an operator's command, of which no user is the actor.
    """
    passwords.require_good(new_password, user, "newPassword")
    new_hash = passwords.hashed(new_password)
    with transaction.atomic():
        locked = user_locked(user.pk)
        locked.password = new_hash
        locked.save(update_fields=["password", "updated_at"])
        sessions_end(active_sessions().filter(user=locked))


@transaction.atomic
def user_set_status(actor: User, *, user: User, status: str) -> None:
    """Let a person in or shut them out; who is shut out is out at once, on every device.

    Raises MayNotSetStatus, by the status that the person has under their lock: what the actor saw
    may have been changed since by somebody who may more.
    """
    locked = user_locked(user.pk)
    require(may_set_status(actor, locked, status), MayNotSetStatus)
    locked.status = status
    locked.version = F("version") + 1
    locked.save(update_fields=["status", "version", "updated_at"])
    if status != User.Status.ACTIVE:
        sessions_end(Session.objects.filter(user=locked, ended_at=None))


def ticket_issue(actor: User, *, session: Session) -> str:
    """Return a ticket that opens one websocket in the actor's session within TICKET_SECONDS; raise
    SessionNotFound. Of those of a session that were not used yet the last TICKETS_KEPT stay good.
    """
    require(owns(actor, session), SessionNotFound)
    ticket = secrets.token_urlsafe(32)
    WebsocketTicket.objects.create(
        digest=_digest(ticket),
        session=session,
        expires_at=timezone.now() + timedelta(seconds=TICKET_SECONDS),
    )
    # After the ticket is committed, if it can be: of several at once the last one to look then sees
    # them all. Each locks the rows in the same order, so that no two wait for each other.
    with transaction.atomic():
        of_session = WebsocketTicket.objects.filter(session=session).select_for_update()
        surplus = of_session.order_by("-expires_at", "digest")[TICKETS_KEPT:]
        WebsocketTicket.objects.filter(pk__in=surplus.values("pk")).delete()
    return ticket


def ticket_redeem(*, ticket: str) -> Session:
    """Return the session of a ticket and use it up; raise InvalidToken or SessionOver. Who brings
    the ticket is not known before that."""
    # Anybody may bring anything: on SQLite a transaction, or the DELETE of a ticket that is not
    # there, would keep every other writer waiting.
    found = WebsocketTicket.objects.filter(
        digest=_digest(ticket), expires_at__gt=timezone.now()
    ).first()
    # Of those who bring the same ticket at once only one deletes the row.
    if found is None or not WebsocketTicket.objects.filter(pk=found.pk).delete()[0]:
        raise InvalidToken
    return session_active(found.session_id)


def accounts_prune() -> int:
    """Delete tickets and sessions that are over for good and return how many there were: an act of
    the system."""
    now = timezone.now()
    tickets = WebsocketTicket.objects.filter(expires_at__lt=now).delete()[0]
    return tickets + Session.objects.filter(expires_at__lt=now).delete()[0]


def user_locked(user_id: UUID) -> User:
    """Return a person under their lock, for the rest of the transaction; raise UserNotFound.

    No key of the row is ever changed, so that messages, whose rows refer to it, need not wait.
    """
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if user is None:
        raise UserNotFound
    return user


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
