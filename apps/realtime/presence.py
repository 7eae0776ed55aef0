"""Who is online: people at least one of whose sockets has shown a sign of life within the last
minute, and those whose last socket closed a moment ago.

A person who only reconnects stays online all the while, so nobody is told of it. Several processes
may see one person come and go at once: the place where it is kept decides who was first and gives
each change a version, by which a late announcement is told from a new one.
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
ALIVE_FOR = GONE_AFTER_SECONDS
# Seconds after a person's last socket in which they may come back unnoticed.
GRACE = 5
# Seconds after which a departure that nobody has announced is taken up again.
ANNOUNCED_WITHIN = 15
# Of those who may know it, how many are looked up at a time.
LOOKED_UP_AT_ONCE = 500


@dataclass(frozen=True)
class Arrival:
    """A person who is online now and was not before. `version` orders it among departures."""

    user_id: UUID
    version: int


@dataclass(frozen=True)
class Departure:
    """A person who is not online any more, and when that was."""

    user_id: UUID
    at: datetime
    version: int


class TooManySockets(Exception):
    """The person has SOCKETS_PER_USER sockets already."""


class PresenceStore(Protocol):
    """Where it is kept who is online. Times are its own, so that processes agree on them."""

    def enter(self, entry: PresenceEntry) -> Arrival | None:
        """Add the socket; return the arrival if the person was not online. Raises
        TooManySockets."""

    def leave(self, entry: PresenceEntry) -> None:
        """Remove the socket. A person without another one stays online for GRACE."""

    def beat(self, entries: Iterable[PresenceEntry]) -> list[Arrival]:
        """Say that these are alive; return the people who were not known to be online."""

    def departures(self, *, hurry: bool = False) -> list[Departure]:
        """Return the people whose time is over. Each is returned to one caller only, and again
        after ANNOUNCED_WITHIN unless `announced` is called. In a hurry the people are returned
        whom no process could return later."""

    def announced(self, user_id: UUID) -> None:
        """Note that the departure has been told."""

    def online(self, users: Iterable[UUID]) -> set[UUID]:
        """Return those of the people who are online."""

    def sockets(self, user_id: UUID) -> Counter[UUID]:
        """Return how many sockets each session of the person has."""


@cache
def presence_store() -> PresenceStore:
    """Return where this process keeps who is online."""
    made: PresenceStore = import_string(settings.PRESENCE)()
    return made


@dataclass(frozen=True)
class Seen:
    """Whether a person is online and, if not, since when."""

    online: bool
    last_seen_at: datetime | None

    def as_dict(self) -> Mapping[str, Any]:
        """Return it as it is sent."""
        at = self.last_seen_at
        return {"online": self.online, "lastSeenAt": rfc3339(at) if at else None}


def presence_of(users: Iterable[UUID]) -> dict[UUID, Seen]:
    """Return the presence of each of the people: one look into Redis, one into the database."""
    asked = list(users)
    online = presence_store().online(asked)
    seen = dict(LastSeen.objects.filter(user__in=asked).values_list("user_id", "at"))
    return {user: Seen(user in online, seen.get(user)) for user in asked}


def announce_online(arrival: Arrival) -> None:
    """Tell those who may know that a person came online."""
    user_id = arrival.user_id
    signal(UserOnline(to=_audience_there(user_id), version=arrival.version, user_id=user_id))


def announce_departures(*, hurry: bool = False) -> None:
    """Tell of everybody who went offline; one that fails is tried again later, by any process."""
    for departure in presence_store().departures(hurry=hurry):
        try:
            _announce_offline(departure)
        except Exception:
            log.warning("departure not told", user_id=str(departure.user_id), exc_info=True)
        else:
            presence_store().announced(departure.user_id)


def _announce_offline(departure: Departure) -> None:
    try:
        LastSeen.objects.update_or_create(user_id=departure.user_id, defaults={"at": departure.at})
    except IntegrityError:
        # The account was deleted with its conversations: there is nobody to tell.
        return
    user_id = departure.user_id
    signal(
        UserOffline(
            to=_audience_there(user_id),
            version=departure.version,
            user_id=user_id,
            last_seen_at=departure.at,
        )
    )


def _audience_there(user_id: UUID) -> tuple[UUID, ...]:
    """Return who may be told of the person and is connected: most of them are not, and what is
    signalled goes to every process."""
    audience = list(audience_of(user_id))
    parts = range(0, len(audience), LOOKED_UP_AT_ONCE)
    there = [
        presence_store().online(audience[start : start + LOOKED_UP_AT_ONCE]) for start in parts
    ]
    return tuple(other for part in there for other in part)
