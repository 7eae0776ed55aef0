"""Writes of passwords. The lock order is in locks.py.

No function hashes a password inside a transaction (docs/decisions/0008-hash-first.md).
"""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from apps.accounts import passwords
from apps.accounts.errors import SessionOver, WrongPassword
from apps.accounts.locks import sessions_locked, user_locked
from apps.accounts.models import User, user_tag
from apps.accounts.selectors import active_sessions
from apps.accounts.sessions import locked_sessions_end, sessions_end
from apps.core.features import after_password_change
from apps.core.kept import drop_when_committed


@dataclass(frozen=True)
class PasswordChange:
    """A password change whose slow part is done: the hash that the current password was compared
    with, and the hash of the new password."""

    compared_with: str
    new_hash: str


def password_change_prepare(
    actor: User, *, current_password: str, new_password: str
) -> PasswordChange:
    """Do the slow part of changing the actor's password, outside of any transaction; raise
    WrongPassword or Invalid."""
    if not passwords.compare(current_password, actor.password).matches:
        raise WrongPassword.current()
    passwords.require_strong(new_password, actor, "newPassword")
    return PasswordChange(actor.password, passwords.hashed(new_password))


@transaction.atomic
def password_change(actor: User, *, change: PasswordChange, session_id: UUID) -> User:
    """Change the actor's password, end all of their sessions except `session_id`, have the apps
    tell them, and return them.

    Raises WrongPassword if the password has changed since the current one was compared. Raises
    SessionOver if the session `session_id` has ended since then or the user is no longer active:
    a thief whose session was ended must not end the sessions of the account's owner.
    """
    user = user_locked(actor.pk)
    if user.password != change.compared_with:
        raise WrongPassword.current()
    active = sessions_locked(active_sessions().filter(user=user))
    if not user.is_active or session_id not in active:
        raise SessionOver
    user.password = change.new_hash
    user.save(update_fields=["password", "updated_at"])
    drop_when_committed(user_tag(user.pk))
    locked_sessions_end([one for one in active if one != session_id])
    after_password_change(user)
    return user


def password_set(*, user: User, new_password: str) -> None:
    """Give a user a new password and end all of their sessions; raise Invalid.

    This is an action of the system, without an actor: an operator's command calls it.
    """
    passwords.require_strong(new_password, user, "newPassword")
    new_hash = passwords.hashed(new_password)
    with transaction.atomic():
        locked_password_set(user_locked(user.pk), new_hash)


def locked_password_set(user: User, new_hash: str) -> None:
    """Give a user whose row the caller has locked the password with this hash, and end all of
    their sessions. This is an action of the system, without an actor."""
    user.password = new_hash
    user.save(update_fields=["password", "updated_at"])
    drop_when_committed(user_tag(user.pk))
    sessions_end(active_sessions().filter(user=user))
