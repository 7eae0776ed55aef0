"""Moderators and administrators who are made on the machine of the server, for an installation that
has no administrator yet. The lock order is in locks.py.

These are actions of the system, without an actor: an operator's command calls them. Each leaves an
entry in the history of the user, which the admin's pages show.
"""

from django.db import transaction

from apps.accounts.errors import NoPromotion, UserDisabled
from apps.accounts.locks import user_locked
from apps.accounts.models import User
from apps.accounts.new_users import user_insert, user_prepare
from apps.accounts.policies import is_promotion
from apps.accounts.roles import locked_user_set_role
from apps.core.errors import require
from apps.core.trace import trace


def staff_create(*, name: str, email: str, password: str, role: str) -> User:
    """Create and return a user with a role; raise EmailTaken, or Invalid for a weak password."""
    user = user_prepare(name=name, email=email, password=password, role=role)
    with transaction.atomic():
        user_insert(user)
        _trace(user, "none")
    return user


@transaction.atomic
def staff_promote(*, user: User, role: str) -> None:
    """Give a user a role that allows more than theirs; their sessions go on.

    Raises NoPromotion if their role allows as much already. Raises UserDisabled for a suspended or
    banned user: the moderator who reinstates them later would not expect a colleague.
    """
    locked = user_locked(user.pk)
    require(locked.is_active, UserDisabled)
    require(is_promotion(locked, role), NoPromotion)
    before = locked.role
    locked_user_set_role(locked, role)
    _trace(locked, before)


def _trace(user: User, before: str) -> None:
    # Under their own name, since no other user has done it.
    trace(user, user, role=(before, f"{user.role}, by a command on the server"))
