"""Writes of profiles. The lock order is in locks.py."""

from django.db import transaction

from apps.accounts.errors import EmptyProfileUpdate
from apps.accounts.locks import user_locked
from apps.accounts.models import User, user_tag
from apps.core.http.conditional import require_match
from apps.core.kept import drop_when_committed


@transaction.atomic
def profile_update(
    actor: User, *, name: str | None = None, bio: str | None = None, if_match: str = ""
) -> User:
    """Change the given fields of the actor's profile and return the actor; raise
    EmptyProfileUpdate or PreconditionFailed."""
    changes = {key: value for key, value in (("name", name), ("bio", bio)) if value is not None}
    if not changes:
        raise EmptyProfileUpdate
    locked = user_locked(actor.pk)
    require_match(if_match, str(locked.version))
    for key, value in changes.items():
        setattr(locked, key, value)
    locked.version += 1
    locked.save(update_fields=[*changes, "version", "updated_at"])
    drop_when_committed(user_tag(locked.pk))
    return locked
