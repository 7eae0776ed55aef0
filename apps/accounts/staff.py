"""Moderators and administrators who are made on the machine of the server, for an installation that
has no administrator yet. The lock order is in locks.py.

These are actions of the system, without an actor: an operator's command calls them. Each leaves an
entry in the history of the user, which the admin's pages show.
"""

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import F

from apps.accounts.errors import NoPromotion, UserDisabled
from apps.accounts.locks import user_locked
from apps.accounts.models import USERS_TAG, User, user_tag
from apps.accounts.new_users import user_insert, user_prepare
from apps.accounts.policies import is_promotion
from apps.core.errors import require
from apps.core.kept import drop_when_committed


def staff_create(*, name: str, email: str, password: str, role: str) -> User:
    """Create and return a user with a role; raise EmailTaken, or Invalid for a weak password."""
    user = user_prepare(name=name, email=email, password=password, role=role)
    with transaction.atomic():
        user_insert(user)
        _note(user, ADDITION)
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
    locked.role = role
    locked.version = F("version") + 1
    locked.save(update_fields=["role", "version", "updated_at"])
    drop_when_committed(user_tag(locked.pk), USERS_TAG)
    _note(locked, CHANGE)


def _note(user: User, flag: int) -> None:
    """Add an entry to the history of the user, under their own name: no other user did it."""
    LogEntry.objects.create(
        user_id=user.pk,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(user.pk),
        object_repr=str(user)[:200],
        action_flag=flag,
        change_message=f"Role set to {user.role} by a command on the server.",
    )
