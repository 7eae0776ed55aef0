"""Row locks of accounts, which last until the transaction ends.

Lock order: users' rows by id, then the rows of their sessions by id, then the stream of their
events. Writes take their locks in this order, so that no two writes deadlock.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from apps.accounts.errors import UserNotFound
from apps.accounts.models import Session, User


def user_locked(user_id: UUID) -> User:
    """Lock a user's row and return the user; raise UserNotFound.

    No write changes a key of the row. The lock allows for that, so that inserting a message, whose
    row refers to the user, does not wait for it.
    """
    [user] = users_locked(user_id)
    return user


def users_locked(*user_ids: UUID) -> list[User]:
    """Lock the rows of users as user_locked() does, and return the users in the given order; raise
    UserNotFound."""
    rows = User.objects.select_for_update(no_key=True).filter(pk__in=user_ids).order_by("pk")
    locked = {user.pk: user for user in rows}
    if not locked.keys() >= set(user_ids):
        raise UserNotFound
    return [locked[user_id] for user_id in user_ids]


def sessions_locked(sessions: QuerySet[Session]) -> Sequence[UUID]:
    """Lock the sessions' rows and return their ids."""
    # Some of these querysets join the user. The query must not lock the user's row, because that
    # lock comes before the sessions' locks.
    locked = sessions.order_by("pk").select_for_update(of=("self",)).only("pk")
    return [session.pk for session in locked]
