"""Writes of users' statuses. The lock order is in locks.py."""

from django.db import transaction
from django.db.models import F

from apps.accounts.errors import MayNotSetStatus
from apps.accounts.locks import user_locked
from apps.accounts.models import USERS_TAG, Session, User, user_tag
from apps.accounts.policies import may_set_status
from apps.accounts.sessions import sessions_end
from apps.core.errors import require
from apps.core.kept import drop_when_committed


@transaction.atomic
def user_set_status(actor: User, *, user: User, status: str) -> None:
    """Set a user's status. Any status but active ends all of the user's sessions.

    Raises MayNotSetStatus. The policy decides by the status that the locked row has, because
    somebody with more rights may have changed it since the actor saw it.
    """
    locked = user_locked(user.pk)
    require(may_set_status(actor, locked, status), MayNotSetStatus)
    locked.status = status
    locked.version = F("version") + 1
    locked.save(update_fields=["status", "version", "updated_at"])
    drop_when_committed(user_tag(locked.pk), USERS_TAG)
    if status != User.Status.ACTIVE:
        sessions_end(Session.objects.filter(user=locked, ended_at=None))
