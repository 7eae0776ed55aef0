"""Who is online: users with at least one socket that showed a sign of life within the last minute,
and users whose last socket closed a moment ago.

A user who only reconnects stays online all the time, so nobody is notified. Several processes may
see one user come and go at once: the store decides which socket was the first, and gives each
change a version, so that a late announcement is recognised.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Protocol
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError
from django.utils.module_loading import import_string

from apps.core.http.envelope import rfc3339
from apps.realtime.event_log import signal
from apps.realtime.events import UserOffline, UserOnline
from apps.realtime.models import LastSeen
from apps.realtime.registry import audience_of
from apps.realtime.sockets import PresenceEntry
from apps.realtime.transport import GONE_AFTER_SECONDS

log = structlog.get_logger(__name__)

SOCKETS_PER_USER = 10
ALIVE_SECONDS = GONE_AFTER_SECONDS
# Seconds after a user's last socket closed within which they may come back unnoticed.
GRACE_SECONDS = 5
# Seconds after which another process announces a departure whose announcement did not succeed.
RETRY_ANNOUNCEMENT_SECONDS = 15
# How many users of an audience are looked up at a time.
LOOKED_UP_AT_ONCE = 500


@dataclass(frozen=True)
class Arrival:
    """A user who is online now and was not before. `version` orders it among departures."""

    user_id: UUID
    version: int


@dataclass(frozen=True)
class Departure:
    """A user who is not online any more, and since when."""

    user_id: UUID
    at: datetime
    version: int


class TooManySockets(Exception):
    """The user has SOCKETS_PER_USER sockets already."""


class PresenceStore(Protocol):
    """Keeps who is online. Times are those of the store, so that processes agree on them."""

    def enter(self, entry: PresenceEntry) -> Arrival | None:
        """Add the socket; return the arrival if the user was not online. Raises
        TooManySockets."""

    def leave(self, entry: PresenceEntry) -> None:
        """Remove the socket. A user without another socket stays online for GRACE_SECONDS."""

    def refresh(self, entries: Iterable[PresenceEntry]) -> list[Arrival]:
        """Note that the sockets are alive; return the users who were not known to be online."""

    def departures(self, *, hurry: bool = False) -> list[Departure]:
        """Return the users whose grace is over. Each is returned to one caller only, and again
        after RETRY_ANNOUNCEMENT_SECONDS unless `mark_announced` is called. With `hurry` it also
        returns the users whom no other process could return later."""

    def mark_announced(self, user_id: UUID) -> None:
        """Note that the departure was announced."""

    def online(self, users: Iterable[UUID]) -> set[UUID]:
        """Return those of the users who are online."""

    def sockets(self, user_id: UUID) -> Counter[UUID]:
        """Return how many sockets each session of the user has."""


@cache
def presence_store() -> PresenceStore:
    """Return the store of this process, which the setting PRESENCE names."""
    store: PresenceStore = import_string(settings.PRESENCE)()
    return store


@dataclass(frozen=True)
class Seen:
    """Whether a user is online and, if not, since when."""

    online: bool
    last_seen_at: datetime | None

    def as_dict(self) -> Mapping[str, Any]:
        """Return it as it is sent."""
        at = self.last_seen_at
        return {"online": self.online, "lastSeenAt": rfc3339(at) if at else None}


def presence_of(users: Iterable[UUID]) -> dict[UUID, Seen]:
    """Return the presence of each of the users, with one query to Redis and one to the database."""
    asked = list(users)
    online = presence_store().online(asked)
    seen = dict(LastSeen.objects.filter(user__in=asked).values_list("user_id", "at"))
    return {user: Seen(user in online, seen.get(user)) for user in asked}


def announce_online(arrival: Arrival) -> None:
    """Signal to the users who may know it that a user came online."""
    user_id = arrival.user_id
    signal(UserOnline(to=_online_audience(user_id), version=arrival.version, user_id=user_id))


def announce_departures(*, hurry: bool = False) -> None:
    """Announce every user who went offline. Any process retries an announcement that fails."""
    for departure in presence_store().departures(hurry=hurry):
        try:
            _announce_offline(departure)
        except Exception:
            log.warning("departure not announced", user_id=str(departure.user_id), exc_info=True)
        else:
            presence_store().mark_announced(departure.user_id)


def _announce_offline(departure: Departure) -> None:
    try:
        LastSeen.objects.update_or_create(user_id=departure.user_id, defaults={"at": departure.at})
    except IntegrityError:
        # The account was deleted, and its conversations with it: nobody may know it any more.
        return
    user_id = departure.user_id
    signal(
        UserOffline(
            to=_online_audience(user_id),
            version=departure.version,
            user_id=user_id,
            last_seen_at=departure.at,
        )
    )


def _online_audience(user_id: UUID) -> tuple[UUID, ...]:
    """Return the users who may see the user's presence and are online: most of an audience is
    offline, and a signal goes to every process."""
    audience = list(audience_of(user_id))
    parts = range(0, len(audience), LOOKED_UP_AT_ONCE)
    online = [
        presence_store().online(audience[start : start + LOOKED_UP_AT_ONCE]) for start in parts
    ]
    return tuple(user for part in online for user in part)
