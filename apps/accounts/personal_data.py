"""What accounts keep of a user, except the user's own row, which is erased last (erasing.py)."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session as PagesSession
from django.db import transaction
from django.db.models import Q

from apps.accounts.models import Block, Follow, Session, User
from apps.core.features import PersonalData

PROFILE = (
    "id",
    "name",
    "email",
    "email_verified",
    "role",
    "status",
    "bio",
    "avatar_url",
    "created_at",
    "updated_at",
)
Rows = Iterable[Mapping[str, Any]]
# Without what would let the reader continue a session.
SESSION = (
    "id",
    "address",
    "user_agent",
    "created_at",
    "last_used_at",
    "expires_at",
    "ended_at",
)


def _profile(user_id: UUID) -> Rows:
    found: Rows = User.objects.filter(pk=user_id).values(*PROFILE)
    return found


def _sessions(user_id: UUID) -> Rows:
    found: Rows = Session.objects.filter(user=user_id).order_by("pk").values(*SESSION)
    return found


def _following(user_id: UUID) -> Rows:
    found: Rows = (
        Follow.objects.filter(follower=user_id).order_by("pk").values("followed_id", "created_at")
    )
    return found


def _followers(user_id: UUID) -> Rows:
    found: Rows = (
        Follow.objects.filter(followed=user_id).order_by("pk").values("follower_id", "created_at")
    )
    return found


def _blocked(user_id: UUID) -> Rows:
    # Who has blocked the user is data of others, which the user does not learn.
    found: Rows = (
        Block.objects.filter(blocker=user_id).order_by("pk").values("blocked_id", "created_at")
    )
    return found


@transaction.atomic
def _erase(user_id: UUID, _: UUID) -> Mapping[str, int]:
    sessions = Session.objects.filter(user=user_id)
    count = sessions.count()
    sessions.delete()
    follows, _follows = Follow.objects.filter(Q(follower=user_id) | Q(followed=user_id)).delete()
    blocks, _blocks = Block.objects.filter(Q(blocker=user_id) | Q(blocked=user_id)).delete()
    # Only moderators have sessions of the admin's pages, whose text says nothing unless decoded.
    of_pages = [
        one.pk
        for one in PagesSession.objects.iterator()
        if one.get_decoded().get(SESSION_KEY) == str(user_id)
    ]
    PagesSession.objects.filter(pk__in=of_pages).delete()
    return {"sessions": count + len(of_pages), "follows": follows, "blocks": blocks}


PERSONAL_DATA = PersonalData(
    fields={
        "accounts.Session.user",
        "accounts.Follow.follower",
        "accounts.Follow.followed",
        "accounts.Block.blocker",
        "accounts.Block.blocked",
    },
    exports={
        "profile": _profile,
        "sessions": _sessions,
        "following": _following,
        "followers": _followers,
        "blocked": _blocked,
    },
    erase=_erase,
)
