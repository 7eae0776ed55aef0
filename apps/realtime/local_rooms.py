"""Who is inside which room, kept in the memory of this process."""

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import islice
from uuid import UUID

from apps.realtime import rooms
from apps.realtime.rooms import RoomChange, RoomEntry

# The devices of a user in a room, each with the time until which it is inside.
Devices = dict[str, float]


class LocalRooms:
    """Keeps the devices of this process's users. They end with it."""

    def __init__(self) -> None:
        self._rooms: defaultdict[str, dict[UUID, Devices]] = defaultdict(dict)
        self._lock = threading.Lock()

    def enter(self, entries: Sequence[RoomEntry]) -> list[RoomChange]:
        """See RoomStore."""
        until = time.monotonic() + rooms.INSIDE_SECONDS
        changes = []
        with self._lock:
            for entry in entries:
                room = self._rooms[entry.room]
                if entry.user_id not in room:
                    room[entry.user_id] = {}
                    changes.append(self._change(entry.room, entry.user_id))
                room[entry.user_id][entry.device] = until
        return changes

    def leave(self, entries: Sequence[RoomEntry]) -> list[RoomChange]:
        """See RoomStore."""
        with self._lock:
            for entry in entries:
                self._devices(entry.room, entry.user_id).pop(entry.device, None)
            users = dict.fromkeys((entry.room, entry.user_id) for entry in entries)
            return [self._remove(room, user) for room, user in users if self._is_empty(room, user)]

    def expel(self, room: str, users: Collection[UUID]) -> list[RoomChange]:
        """See RoomStore."""
        with self._lock:
            known = [user for user in users if user in self._rooms.get(room, {})]
            return [self._remove(room, user) for user in known]

    def expired(self) -> list[RoomChange]:
        """See RoomStore."""
        now = time.monotonic()
        with self._lock:
            over = [
                (room, user)
                for room, users in self._rooms.items()
                for user, devices in users.items()
                if all(until <= now for until in devices.values())
            ]
            return [self._remove(room, user) for room, user in over]

    def inside(self, room: str, most: int) -> list[UUID]:
        """See RoomStore."""
        with self._lock:
            return list(islice(self._rooms.get(room, ()), most))

    def count(self, room: str) -> int:
        """See RoomStore."""
        with self._lock:
            return len(self._rooms.get(room, ()))

    def _devices(self, room: str, user: UUID) -> Devices:
        return self._rooms.get(room, {}).get(user, {})

    def _is_empty(self, room: str, user: UUID) -> bool:
        return user in self._rooms.get(room, {}) and not self._devices(room, user)

    def _remove(self, room: str, user: UUID) -> RoomChange:
        del self._rooms[room][user]
        change = self._change(room, user)
        if not self._rooms[room]:
            del self._rooms[room]
        return change

    def _change(self, room: str, user: UUID) -> RoomChange:
        users = self._rooms[room]
        # Only this process compares versions of this store, and its clock may be set back.
        return RoomChange(room, user, user in users, time.monotonic_ns(), len(users))
