"""Writes of users' statuses. The lock order is in locks.py."""

from django.db import transaction
from django.db.models import F

from apps.accounts.errors import MayNotSetStatus
from apps.accounts.locks import users_locked
from apps.accounts.models import USERS_TAG, Session, User, user_tag
from apps.accounts.policies import may_set_status
from apps.accounts.sessions import sessions_end
from apps.core.errors import require
from apps.core.kept import drop_when_committed
from apps.core.trace import trace


@transaction.atomic
def user_set_status(actor: User, *, user: User, status: str) -> None:
    """Set a user's status. Any status but active ends all of the user's sessions.

    Raises MayNotSetStatus. The policy decides by what the locked rows say, because somebody with
    more rights may have changed the user since the actor saw them, or the actor themselves.
    """
    actor, locked = users_locked(actor.pk, user.pk)
    require(may_set_status(actor, locked, status), MayNotSetStatus)
    before = locked.status
    locked_user_set_status(locked, status)
    trace(actor, locked, status=(before, status))


def locked_user_set_status(user: User, status: str) -> None:
    """Set the status of a user whose row the caller has locked, as user_set_status() does. This is
    an action of the system, without an actor."""
    user.status = status
    user.version = F("version") + 1
    user.save(update_fields=["status", "version", "updated_at"])
    drop_when_committed(user_tag(user.pk), USERS_TAG)
    if status != User.Status.ACTIVE:
        sessions_end(Session.objects.filter(user=user, ended_at=None))
