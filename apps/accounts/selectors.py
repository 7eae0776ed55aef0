"""Reads of accounts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Count, DateTimeField, Expression, Q, QuerySet, UUIDField
from django.utils import timezone

from apps.accounts.emails import canonical_email
from apps.accounts.errors import UserNotFound
from apps.accounts.models import Session, User
from apps.accounts.shapes import USER_COLUMNS
from apps.core.db.prepared import Hole, OneOf, Prepared
from apps.realtime.presence import presence_store


def active_sessions(now: datetime | Expression | None = None) -> QuerySet[Session]:
    """Return the active sessions: neither ended nor expired, and of an active user."""
    return Session.objects.filter(
        ended_at=None,
        expires_at__gt=timezone.now() if now is None else now,
        user__status=User.Status.ACTIVE,
    )


_ACTIVE = Prepared(
    lambda: (
        active_sessions(Hole("now", DateTimeField()))
        .select_related("user")
        .filter(OneOf("pk", "session_ids", UUIDField()))
    )
)
_USERS = Prepared(lambda: User.objects.filter(OneOf("pk", "user_ids", UUIDField())))


def sessions_with_users(session_ids: Iterable[UUID]) -> list[Session]:
    """Return those of the sessions that are active, with their users."""
    return _ACTIVE.all(session_ids=session_ids, now=timezone.now())


def active_sessions_among(session_ids: Iterable[UUID]) -> set[UUID]:
    """Return which of the sessions are active."""
    return set(active_sessions().filter(pk__in=list(session_ids)).values_list("pk", flat=True))


@dataclass(frozen=True)
class SessionSummary:
    """A session as its user sees it in the list of their sessions."""

    session: Session
    current: bool
    sockets: int


def sessions_of(user: User) -> QuerySet[Session]:
    """Return the active sessions of a user, the last used first."""
    return active_sessions().filter(user=user).order_by("-last_used_at", "-id")


def sessions_shown(sessions: Sequence[Session], current: Session) -> list[SessionSummary]:
    """Return sessions of a user with the number of their open sockets and whether each is the
    current one."""
    sockets = presence_store().sockets(current.user_id)
    return [SessionSummary(one, one.pk == current.pk, sockets[one.pk]) for one in sessions]


def users_by_id(user_ids: Iterable[UUID]) -> dict[UUID, User]:
    """Return those of the users who exist, whatever their status, by id."""
    return {user.pk: user for user in _USERS.all(user_ids=user_ids)}


def user_get(user_id: UUID) -> User:
    """Return a user who is visible to others; raise UserNotFound."""
    user = users_visible().filter(pk=user_id).first()
    if user is None:
        raise UserNotFound
    return user


def has_administrator() -> bool:
    """Return whether somebody may log in as an administrator."""
    return User.objects.filter(role=User.Role.ADMIN, status=User.Status.ACTIVE).exists()


def user_columns(users: QuerySet[User]) -> QuerySet[User, Any]:
    """Return the columns of users that everyone is shown, and their versions."""
    return users.values_list(*USER_COLUMNS, "version", named=True)


_BY_IDS = Prepared(
    lambda: user_columns(users_visible().filter(OneOf("pk", "ids", UUIDField()))),
)


def users_shown(ids: Sequence[UUID]) -> list[Any]:
    """Return those of the users who are visible to others, with the columns of user_columns()."""
    return _BY_IDS.all(ids=ids)


def users_visible(search: str = "") -> QuerySet[User]:
    """Return the users who are visible to others, the newest first. `search` is a part of the
    name."""
    users = User.objects.filter(status=User.Status.ACTIVE)
    if search:
        users = users.filter(name__icontains=search)
    return users.order_by("-id")


def count_by_status() -> dict[str, int]:
    """Return how many users there are of each status."""
    users = User.objects.order_by().values_list("status").annotate(count=Count("pk"))
    return dict(users)


def count_sessions() -> dict[str, int]:
    """Return how many sessions are active, and how many are over and not pruned yet."""
    active = active_sessions().count()
    return {"active": active, "over": Session.objects.count() - active}


def user_named(name: str) -> User | None:
    """Return the user with this id or e-mail address, None if there is none."""
    try:
        found = Q(pk=UUID(name))
    except ValueError:
        try:
            found = Q(email=canonical_email(name))
        except ValidationError:
            return None
    return User.objects.filter(found).first()
