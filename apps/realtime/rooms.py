"""Rooms: who is looking at the same thing at this moment.

A kind of room is declared once, with the selector that says who may enter: those who may see the
thing. Who is inside is kept by a store, for all processes (docs/decisions/0045-rooms.md).
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils.module_loading import import_string

from apps.realtime.controls import LeaveRoom
from apps.realtime.errors import RoomsUnavailable
from apps.realtime.registry import announce_rooms
from apps.realtime.streams import UUID_REGEX, Users
from apps.realtime.wakeups import wake

# Seconds for which a device is inside after it entered or was last refreshed.
INSIDE_SECONDS = 60
# For how many users one query asks whether they may see what a room is about, and for how many when
# that was hidden from some. The hubs find the rest of a larger room: they check their own sockets.
CHECKED_AT_ONCE = 500
MOST_CHECKED = 10_000

room_types: dict[str, "RoomType"] = {}


@dataclass(frozen=True)
class RoomType:
    """Rooms of one kind, one named `prefix.<id>` for each thing.

    `viewers` returns which of some users may see the thing, and so enter its room, given its id.
    `ids` is the regular expression of the ids. Declaring a kind registers it.
    """

    prefix: str
    viewers: Callable[[str, Users], Collection[UUID]]
    ids: str = UUID_REGEX

    def __post_init__(self) -> None:
        if self.prefix in room_types:
            raise ImproperlyConfigured(f"Two kinds of rooms are named {self.prefix!r}.")
        room_types[self.prefix] = self

    def name(self, id_: UUID) -> str:
        """Return the name of the room of a thing."""
        return f"{self.prefix}.{id_}"


def viewers_of(room: str, users: Users) -> set[UUID]:
    """Return those of the users who may enter the room. Nobody may enter one that does not
    exist."""
    prefix, _, id_ = room.partition(".")
    kind = room_types.get(prefix)
    if kind is None or not re.fullmatch(kind.ids, id_):
        return set()
    return set(kind.viewers(id_, users))


@dataclass(frozen=True)
class RoomEntry:
    """One device of a user, in a room: a socket, or a session that has none."""

    room: str
    user_id: UUID
    device: str


@dataclass(frozen=True)
class RoomChange:
    """A user who is inside a room now and was not before, or the other way round.

    `version` orders the changes of one user in one room. `count` is how many users are inside.
    """

    room: str
    user_id: UUID
    inside: bool
    version: int
    count: int


class RoomStore(Protocol):
    """Keeps who is inside which room. Each method raises RoomsUnavailable."""

    def enter(self, entries: Sequence[RoomEntry]) -> list[RoomChange]:
        """Note that the devices are inside for INSIDE_SECONDS from now on; return the users who
        were not."""

    def leave(self, entries: Sequence[RoomEntry]) -> list[RoomChange]:
        """Remove the devices; return the users who have no other one in the room."""

    def expel(self, room: str, users: Collection[UUID]) -> list[RoomChange]:
        """Remove all devices of the users from the room; return those who were inside."""

    def expired(self) -> list[RoomChange]:
        """Remove the users none of whose devices were refreshed in time, and return them. Each is
        returned to one caller only."""

    def inside(self, room: str, most: int) -> list[UUID]:
        """Return the users who are inside the room, or so many of them."""

    def count(self, room: str) -> int:
        """Return how many users are inside the room."""


@cache
def room_store() -> RoomStore:
    """Return the store of this process, which the setting ROOMS names."""
    store: RoomStore = import_string(settings.ROOMS)()
    return store


def room_leave(entries: Sequence[RoomEntry]) -> None:
    """Remove devices that are not in their rooms any more, and announce who left."""
    # What cannot be removed now ends by itself.
    with suppress(RoomsUnavailable):
        announce_rooms(room_store().leave(entries))


def rooms_refresh(entries: Sequence[RoomEntry]) -> None:
    """Note that devices are still inside, and announce those who were taken to be gone: the store
    may have lost them, or the process may have been stopped for a while."""
    with suppress(RoomsUnavailable):
        announce_rooms(room_store().enter(entries))


def rooms_expire() -> None:
    """Announce the users whose devices were not refreshed in time, such as those of a process that
    died."""
    with suppress(RoomsUnavailable):
        announce_rooms(room_store().expired())


def room_check(room: str, users: Collection[UUID]) -> None:
    """Have those of the users leave the room who may not see what it is about: their sockets in
    every process, and their devices in the store."""
    expelled = set(users) - viewers_of(room, users)
    if expelled:
        # The sockets go first: a socket that is still inside would be refreshed.
        wake(controls=[LeaveRoom(user, room) for user in expelled])
        with suppress(RoomsUnavailable):
            announce_rooms(room_store().expel(room, expelled))


def room_hidden(room: str) -> None:
    """Check all users of a room once the transaction is committed, which hides from some of them
    what the room is about."""
    transaction.on_commit(partial(_check_all, room), robust=True)


def _check_all(room: str) -> None:
    # If the store cannot be reached, each hub finds those of its own sockets.
    with suppress(RoomsUnavailable):
        inside = room_store().inside(room, MOST_CHECKED)
        for start in range(0, len(inside), CHECKED_AT_ONCE):
            room_check(room, inside[start : start + CHECKED_AT_ONCE])


def entries_of(rooms: Iterable[str], user_id: UUID, device: str) -> list[RoomEntry]:
    """Return the device as an entry of each of the rooms."""
    return [RoomEntry(room, user_id, device) for room in rooms]
