"""Who is online: users with at least one socket that showed a sign of life within the last minute,
and users whose last socket closed a moment ago.

A user who only reconnects stays online all the time, so nobody is notified. Several processes may
see one user come and go at once: the store decides which socket was the first, and gives each
change a version, so that a late announcement is recognised.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Protocol
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError
from django.utils.module_loading import import_string

from apps.core.db.sql import insert
from apps.core.http.envelope import rfc3339
from apps.realtime.event_log import signal
from apps.realtime.events import UserActivity, UserOffline, UserOnline
from apps.realtime.models import LastSeen
from apps.realtime.registry import audiences_of
from apps.realtime.serializers import Activity
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
# How many departures are announced together.
ANNOUNCED_AT_ONCE = 100


@dataclass(frozen=True)
class Arrival:
    """A user who is online now and was not before. `version` orders all changes of their
    presence."""

    user_id: UUID
    version: int
    away: bool = False


@dataclass(frozen=True)
class ActivityChange:
    """A user who stays online and became active on one of their devices, or away from all."""

    user_id: UUID
    version: int
    away: bool


@dataclass(frozen=True)
class Departure:
    """A user who is not online any more, and since when."""

    user_id: UUID
    at: datetime
    version: int


class TooManySockets(Exception):
    """The user has SOCKETS_PER_USER sockets already."""


PresenceChange = Arrival | ActivityChange
# What becomes of a socket that is added: it may change the presence of its user, who may have too
# many.
Entered = PresenceChange | TooManySockets | None


class PresenceStore(Protocol):
    """Keeps who is online. Times are those of the store, so that processes agree on them."""

    def arrive(self, entries: Sequence[PresenceEntry]) -> list[Entered]:
        """Add the sockets in their order. Return for each the change of its user's presence, if
        any, or TooManySockets if it was not added."""

    def leave(self, entries: Sequence[PresenceEntry]) -> None:
        """Remove the sockets. A user without another one stays online for GRACE_SECONDS."""

    def refresh(self, entries: Iterable[PresenceEntry]) -> list[PresenceChange]:
        """Note that the sockets are alive, and whether their users are away from them; return the
        changes: also of users who were not known to be online, and of those whose last active
        device has left since."""

    def departures(self, *, hurry: bool = False) -> list[Departure]:
        """Return the users whose grace is over. Each is returned to one caller only, and again
        after RETRY_ANNOUNCEMENT_SECONDS unless `mark_announced` is called. With `hurry` it also
        returns the users whom no other process could return later."""

    def mark_announced(self, users: Sequence[UUID]) -> None:
        """Note that the departures of the users were announced."""

    def online(self, users: Iterable[UUID]) -> set[UUID]:
        """Return those of the users who are online."""

    def away(self, users: Iterable[UUID]) -> set[UUID]:
        """Return those of the users, who are online, who are away from all of their devices."""

    def sockets(self, user_id: UUID) -> Counter[UUID]:
        """Return how many sockets each session of the user has."""


@cache
def presence_store() -> PresenceStore:
    """Return the store of this process, which the setting PRESENCE names."""
    store: PresenceStore = import_string(settings.PRESENCE)()
    return store


@dataclass(frozen=True)
class Seen:
    """Whether a user is online, and then whether they are away, or else since when."""

    online: bool
    away: bool
    last_seen_at: datetime | None

    @property
    def activity(self) -> str | None:
        """Return what the user is while they are online: active or away."""
        return _activity(self.away) if self.online else None

    def as_dict(self) -> Mapping[str, Any]:
        """Return it as it is sent."""
        at = self.last_seen_at
        return {
            "online": self.online,
            "activity": self.activity,
            "lastSeenAt": rfc3339(at) if at else None,
        }


# What is shown of a user whose presence the viewer may not see.
UNSEEN = Seen(False, False, None)


def presence_of(users: Iterable[UUID]) -> dict[UUID, Seen]:
    """Return the presence of each of the users, with two queries to Redis at most and one to the
    database."""
    asked = list(users)
    online = presence_store().online(asked)
    away = presence_store().away(online)
    seen = dict(LastSeen.objects.filter(user__in=asked).values_list("user_id", "at"))
    return {user: Seen(user in online, user in away, seen.get(user)) for user in asked}


def is_active(user_id: UUID) -> bool:
    """Return whether a device of the user is in use. While Redis is away, that is known only of
    those that are connected to this process."""
    store = presence_store()
    online = store.online([user_id])
    return bool(online - store.away(online))


def announce_presence(changes: Sequence[PresenceChange]) -> None:
    """Signal to the users who may know it that users came online, or became active or away."""
    audiences = _online_audiences([one.user_id for one in changes])
    signal(
        *(
            (UserOnline if isinstance(one, Arrival) else UserActivity)(
                to=audiences[one.user_id],
                version=one.version,
                user_id=one.user_id,
                activity=_activity(one.away),
            )
            for one in changes
        )
    )


def _activity(away: bool) -> str:
    return (Activity.AWAY if away else Activity.ACTIVE).value


def announce_departures(*, hurry: bool = False) -> None:
    """Announce every user who went offline. Any process retries an announcement that fails."""
    departures = presence_store().departures(hurry=hurry)
    for start in range(0, len(departures), ANNOUNCED_AT_ONCE):
        part = departures[start : start + ANNOUNCED_AT_ONCE]
        try:
            _announce_offline(part)
        except Exception:  # noqa: BLE001
            # What is wrong with one of them must not keep the others from being announced.
            for departure in part:
                _announce_alone(departure)


def _announce_alone(departure: Departure) -> None:
    try:
        _announce_offline([departure])
    except IntegrityError:
        # The account was deleted, and its conversations with it: nobody may know it any more.
        presence_store().mark_announced([departure.user_id])
    except Exception:
        log.warning("departure not announced", user_id=str(departure.user_id), exc_info=True)


def _announce_offline(departures: Sequence[Departure]) -> None:
    # All processes lock the rows in the order of their users.
    rows = sorted((one.user_id, one.at) for one in departures)
    insert(LastSeen, ("user", "at"), rows, "ON CONFLICT (user_id) DO UPDATE SET at = excluded.at")
    users = [user for user, _ in rows]
    audiences = _online_audiences(users)
    signal(
        *(
            UserOffline(
                to=audiences[one.user_id],
                version=one.version,
                user_id=one.user_id,
                last_seen_at=one.at,
            )
            for one in departures
        )
    )
    presence_store().mark_announced(users)


def _online_audiences(users: Sequence[UUID]) -> dict[UUID, tuple[UUID, ...]]:
    """Return for each of the users who may see their presence and is online: most of an audience is
    offline, and a signal goes to every process."""
    audiences = audiences_of(users)
    everybody = list(set[UUID]().union(*audiences.values()))
    parts = range(0, len(everybody), LOOKED_UP_AT_ONCE)
    online = set[UUID]().union(
        *(presence_store().online(everybody[at : at + LOOKED_UP_AT_ONCE]) for at in parts)
    )
    return {user: tuple(audience & online) for user, audience in audiences.items()}
