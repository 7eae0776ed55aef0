"""Reads of accounts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import BooleanField, Count, DateTimeField, Expression, Q, QuerySet, UUIDField
from django.utils import timezone

from apps.accounts.blocks import not_blocked_for, require_no_block
from apps.accounts.emails import canonical_email
from apps.accounts.errors import UserNotFound
from apps.accounts.models import Block, Follow, Session, User
from apps.accounts.shapes import USER_COLUMNS
from apps.core.addresses import network_of
from apps.core.db.prepared import Hole, OneOf, Prepared
from apps.core.db.sql import SqlText
from apps.realtime.presence import presence_store

# The followers of a user with more of them do not see when the user is online: each arrival would
# be a signal to all of them.
PRESENCE_FOLLOWERS = 500
_MANY_FOLLOWERS = f"""EXISTS (
    SELECT 1 FROM accounts_follow follow WHERE follow.followed_id = {{user}}
    LIMIT 1 OFFSET {PRESENCE_FOLLOWERS}
)"""  # noqa: S608
# How many earlier sessions of a program are compared with a new one.
LATEST_ADDRESSES = 500


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


def is_new_device(session: Session) -> bool:
    """Return whether no other session of the user has this program in this network. It looks at the
    LATEST_ADDRESSES latest sessions of the program."""
    others = Session.objects.filter(user=session.user_id, user_agent=session.user_agent)
    addresses = others.exclude(pk=session.pk).order_by("-id").values_list("address", flat=True)
    network = network_of(session.address)
    return all(network_of(one) != network for one in addresses[:LATEST_ADDRESSES])


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


def users_visible(search: str = "", viewer: User | None = None) -> QuerySet[User]:
    """Return the users who are visible to others, the newest first. `search` is a part of the
    name. With a viewer, those are left out between whom and the viewer there is a block."""
    users = User.objects.filter(not_blocked_for(viewer, "pk"), status=User.Status.ACTIVE)
    if search:
        users = users.filter(name__icontains=search)
    return users.order_by("-id")


def followers_of(viewer: User, user_id: UUID) -> QuerySet[Follow]:
    """Return the follows of those who follow a user, the latest first, as the viewer may see them:
    without users who are disabled, or between whom and the viewer there is a block. Raises
    UserNotFound, or UsersBlocked for a block between the viewer and the user."""
    _require_shown(viewer, user_id)
    return _follows(viewer, "follower").filter(followed=user_id)


def followed_by(viewer: User, user_id: UUID) -> QuerySet[Follow]:
    """Return the follows of those whom a user follows, as followers_of() does."""
    _require_shown(viewer, user_id)
    return _follows(viewer, "followed").filter(follower=user_id)


def blocks_by(user: User) -> QuerySet[Block]:
    """Return the blocks of a user, the latest first, of those who are visible to others."""
    return user.blocks.filter(blocked__status=User.Status.ACTIVE).order_by("-id")


def presence_followers(
    users: Collection[UUID], among: Collection[UUID] | None = None
) -> Iterable[tuple[UUID, UUID]]:
    """Return who follows each of the users and sees when they are online, as pairs of the user and
    the follower: all, or those of `among`."""
    many = SqlText(_MANY_FOLLOWERS, BooleanField(), user="pk")
    followed = User.objects.filter(~Q(many), pk__in=users)
    follows = Follow.objects.filter(followed__in=followed)
    if among is not None:
        follows = follows.filter(follower__in=among)
    return follows.values_list("followed", "follower")


def with_user(side: str, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return follows or blocks with the user of one side, for users_of()."""
    return rows.select_related(side)


def users_of(side: str, rows: Iterable[Any]) -> list[User]:
    """Return the user of one side of each of the follows or blocks."""
    return [getattr(row, side) for row in rows]


def _require_shown(viewer: User, user_id: UUID) -> None:
    user_get(user_id)
    if user_id != viewer.pk:
        require_no_block(viewer.pk, user_id)


def _follows(viewer: User, side: str) -> QuerySet[Follow]:
    shown = not_blocked_for(viewer, side)
    return Follow.objects.filter(shown, **{f"{side}__status": User.Status.ACTIVE}).order_by("-id")


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
