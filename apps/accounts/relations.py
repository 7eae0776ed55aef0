"""Following and blocking.

Lock order: the rows of the two users as locks.py says, then follows, then blocks. So of a follow
and a block that meet, the second sees the first, whichever of the two asks for which; and each may
run any number of times at once.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.blocks import require_no_block
from apps.accounts.errors import Oneself, UserNotFound
from apps.accounts.locks import users_locked
from apps.accounts.models import Block, Follow, User
from apps.accounts.selectors import user_get
from apps.core.db.sql import insert
from apps.core.errors import require
from apps.core.ids import uuid7


@transaction.atomic
def user_follow(actor: User, *, user_id: UUID) -> None:
    """Have the actor follow a user, also if they do already; raise Oneself, UserNotFound, or
    UsersBlocked if one of the two has blocked the other."""
    user = _other_locked(actor, user_id)
    require_no_block(actor.pk, user.pk)
    insert(
        Follow,
        ("id", "follower", "followed", "created_at"),
        [(uuid7(), actor.pk, user.pk, timezone.now())],
        "ON CONFLICT (follower_id, followed_id) DO NOTHING",
    )


@transaction.atomic
def user_unfollow(actor: User, *, user_id: UUID) -> None:
    """End that the actor follows a user, who may be disabled meanwhile; raise Oneself, or
    UserNotFound for somebody whom they neither follow nor see."""
    _require_other(actor, user_id)
    deleted, _ = Follow.objects.filter(follower=actor, followed=user_id).delete()
    if not deleted:
        user_get(user_id)


@transaction.atomic
def user_block(actor: User, *, user_id: UUID) -> None:
    """Have the actor block a user, also if they have already, and end following in both directions;
    raise Oneself or UserNotFound."""
    user = _other_locked(actor, user_id)
    Follow.objects.filter(
        Q(follower=actor, followed=user) | Q(follower=user, followed=actor)
    ).delete()
    insert(
        Block,
        ("id", "blocker", "blocked", "created_at"),
        [(uuid7(), actor.pk, user.pk, timezone.now())],
        "ON CONFLICT (blocker_id, blocked_id) DO NOTHING",
    )


@transaction.atomic
def user_unblock(actor: User, *, user_id: UUID) -> None:
    """End the actor's block of a user, who may be disabled meanwhile. A block of the actor by that
    user stays. Raises Oneself, or UserNotFound for somebody whom they neither block nor see."""
    _require_other(actor, user_id)
    deleted, _ = Block.objects.filter(blocker=actor, blocked=user_id).delete()
    if not deleted:
        user_get(user_id)


def _other_locked(actor: User, user_id: UUID) -> User:
    """Lock the rows of the actor and of another user, who is active, and return the other."""
    _require_other(actor, user_id)
    _, user = users_locked(actor.pk, user_id)
    require(user.is_active, UserNotFound)
    return user


def _require_other(actor: User, user_id: UUID) -> None:
    if user_id == actor.pk:
        raise Oneself.refused()
