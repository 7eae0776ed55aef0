"""Who is inside a room, for those who may enter it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.accounts.models import User
from apps.accounts.selectors import users_shown, users_visible
from apps.core.errors import require
from apps.realtime.rooms import room_store, viewers_of
from apps.rooms.errors import RoomNotFound

# How many of those who are inside an answer names, and how many the list has.
MOST_NAMED = 100
MOST_LISTED = 1_000


@dataclass(frozen=True)
class Room:
    """A room and users who are inside; `count` is how many there are."""

    room: str
    members: Sequence[Any]
    count: int


def require_viewer(user_id: UUID, room: str) -> None:
    """Raise RoomNotFound if there is no such room, or the user may not see what it is about."""
    require(user_id in viewers_of(room, [user_id]), RoomNotFound)


def room_get(user_id: UUID, room: str) -> Room:
    """Return a room that the user may enter; raise RoomNotFound or RoomsUnavailable."""
    require_viewer(user_id, room)
    store = room_store()
    return Room(room, users_shown(store.inside(room, MOST_NAMED)), store.count(room))


def users_inside(viewer: User, room: str) -> QuerySet[User]:
    """Return those who are inside a room that the viewer may enter, the newest accounts first;
    raise RoomNotFound or RoomsUnavailable."""
    require_viewer(viewer.pk, room)
    return users_visible().filter(pk__in=room_store().inside(room, MOST_LISTED))
