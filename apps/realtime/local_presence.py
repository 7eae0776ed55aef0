"""Who is online, kept in the memory of this process."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from apps.realtime import presence
from apps.realtime.presence import (
    ActivityChange,
    Arrival,
    Departure,
    Entered,
    PresenceChange,
    TooManySockets,
)
from apps.realtime.sockets import PresenceEntry


class LocalPresence:
    """Keeps the sockets of this process. They need no refresh, since they end with it."""

    def __init__(self) -> None:
        self._entries: defaultdict[UUID, set[PresenceEntry]] = defaultdict(set)
        # The users without a socket, with the time at which they left and the time at which their
        # grace is over; then the users whose departure is being announced, with the time at which
        # they left and the time at which the announcement is retried. The clock may be set while
        # somebody waits, so what is waited for is a time.monotonic().
        self._leaving: dict[UUID, tuple[datetime, float]] = {}
        self._announcing: dict[UUID, tuple[datetime, float]] = {}
        # The users who are away from all of their devices.
        self._away: set[UUID] = set()
        self._version = 0
        self._lock = threading.Lock()

    def arrive(self, entries: Sequence[PresenceEntry]) -> list[Entered]:
        """See PresenceStore."""
        with self._lock:
            return [self._arrive(entry) for entry in entries]

    def leave(self, entries: Sequence[PresenceEntry]) -> None:
        """See PresenceStore."""
        with self._lock:
            for entry in entries:
                self._leave(entry)

    def refresh(self, entries: Iterable[PresenceEntry]) -> list[PresenceChange]:
        """See PresenceStore."""
        with self._lock:
            changes = [self._refresh(entry) for entry in entries]
        return [change for change in changes if change is not None]

    def departures(self, *, hurry: bool = False) -> list[Departure]:
        """See PresenceStore."""
        now = time.monotonic()
        with self._lock:
            for user, (at, due) in list(self._leaving.items()):
                if hurry or due <= now:
                    del self._leaving[user]
                    self._announcing[user] = (at, now)
                    self._away.discard(user)
            left = [(user, at) for user, (at, retry) in self._announcing.items() if retry <= now]
            for user, at in left:
                self._announcing[user] = (at, now + presence.RETRY_ANNOUNCEMENT_SECONDS)
            return [Departure(user, at, self._next_version()) for user, at in left]

    def mark_announced(self, users: Sequence[UUID]) -> None:
        """See PresenceStore."""
        with self._lock:
            for user in users:
                self._announcing.pop(user, None)

    def online(self, users: Iterable[UUID]) -> set[UUID]:
        """See PresenceStore."""
        now = time.monotonic()
        with self._lock:
            return {
                user
                for user in users
                if user in self._entries or (user in self._leaving and self._leaving[user][1] > now)
            }

    def away(self, users: Iterable[UUID]) -> set[UUID]:
        """See PresenceStore."""
        with self._lock:
            return self._away.intersection(users)

    def sockets(self, user_id: UUID) -> Counter[UUID]:
        """See PresenceStore."""
        with self._lock:
            return Counter(entry.session_id for entry in self._entries.get(user_id, ()))

    def _arrive(self, entry: PresenceEntry) -> Entered:
        own = self._entries[entry.user_id]
        if len(own) >= presence.SOCKETS_PER_USER:
            return TooManySockets()
        was_online = bool(own) or entry.user_id in self._leaving
        own.add(entry)
        self._leaving.pop(entry.user_id, None)
        self._announcing.pop(entry.user_id, None)
        return (
            self._activity(entry.user_id)
            if was_online
            else Arrival(entry.user_id, self._next_version())
        )

    def _refresh(self, entry: PresenceEntry) -> PresenceChange | None:
        own = self._entries.get(entry.user_id, set())
        if entry not in own:
            return None
        # They are equal, and the new one says whether the user is away now.
        own.discard(entry)
        own.add(entry)
        return self._activity(entry.user_id)

    def _activity(self, user: UUID) -> ActivityChange | None:
        """Return the change if the user became active on one of their devices, or away from
        all."""
        away = all(entry.away for entry in self._entries[user])
        if away == (user in self._away):
            return None
        (self._away.add if away else self._away.discard)(user)
        return ActivityChange(user, self._next_version(), away)

    def _leave(self, entry: PresenceEntry) -> None:
        own = self._entries[entry.user_id]
        if entry in own and len(own) == 1:
            due = time.monotonic() + presence.GRACE_SECONDS
            self._leaving[entry.user_id] = (timezone.now(), due)
        own.discard(entry)
        if not own:
            del self._entries[entry.user_id]

    def _next_version(self) -> int:
        # As the one of Redis, which this may replace for a while. The clock may be set back.
        self._version = max(self._version + 1, time.time_ns() // 1000)
        return self._version
