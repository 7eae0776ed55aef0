"""Writes of users' roles. The lock order is in locks.py."""

from django.db import transaction
from django.db.models import F

from apps.accounts.errors import MayNotSetRole
from apps.accounts.locks import users_locked
from apps.accounts.models import USERS_TAG, Session, User, user_tag
from apps.accounts.policies import is_promotion, may_set_role
from apps.accounts.sessions import sessions_end
from apps.core.errors import require
from apps.core.kept import drop_when_committed
from apps.core.trace import trace


@transaction.atomic
def user_set_role(actor: User, *, user: User, role: str) -> None:
    """Set a user's role. One that allows less ends all of the user's sessions, so that nothing that
    is open or remembered anywhere keeps the powers of the role before.

    Raises MayNotSetRole. An administrator always remains: the actor, who is one under the lock, and
    may not change their own role. Two who demote each other wait for each other's row, and the
    second is an administrator no more.
    """
    actor, locked = users_locked(actor.pk, user.pk)
    require(may_set_role(actor, locked), MayNotSetRole)
    before = locked.role
    locked_user_set_role(locked, role)
    trace(actor, locked, role=(before, role))


def locked_user_set_role(user: User, role: str) -> None:
    """Set the role of a user whose row the caller has locked. This is an action of the system,
    without an actor."""
    demoted = not is_promotion(user, role) and role != user.role
    user.role = role
    user.version = F("version") + 1
    user.save(update_fields=["role", "version", "updated_at"])
    drop_when_committed(user_tag(user.pk), USERS_TAG)
    if demoted:
        sessions_end(Session.objects.filter(user=user, ended_at=None))
