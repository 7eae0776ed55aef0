"""What accounts keep of a user, except the user's own row, which is erased last (erasing.py)."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session as PagesSession
from django.db import transaction

from apps.accounts.models import Session, User
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


@transaction.atomic
def _erase(user_id: UUID, _: UUID) -> Mapping[str, int]:
    sessions = Session.objects.filter(user=user_id)
    count = sessions.count()
    sessions.delete()
    # Only moderators have sessions of the admin's pages, whose text says nothing unless decoded.
    of_pages = [
        one.pk
        for one in PagesSession.objects.iterator()
        if one.get_decoded().get(SESSION_KEY) == str(user_id)
    ]
    PagesSession.objects.filter(pk__in=of_pages).delete()
    return {"sessions": count + len(of_pages)}


PERSONAL_DATA = PersonalData(
    fields={"accounts.Session.user"},
    exports={"profile": _profile, "sessions": _sessions},
    erase=_erase,
)
