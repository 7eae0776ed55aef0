"""Who is online: at least one of his sockets has shown a sign of life within the last minute."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.core.envelope import rfc3339
from apps.realtime.frames import user_stream
from apps.realtime.log import signal
from apps.realtime.models import LastSeen
from apps.realtime.registry import audience_of
from apps.realtime.sockets import Device
from apps.realtime.transport import GONE_AFTER_SECONDS

SOCKETS_PER_USER = 10
ALIVE_FOR = GONE_AFTER_SECONDS


class Presence(Protocol):
    """Where it is kept who is online."""

    def enter(self, device: Device) -> int:
        """Add the socket and return how many the person had before, -1 if he has too many."""

    def leave(self, device: Device) -> bool:
        """Remove the socket and return whether it was the person's last."""

    def beat(self, devices: Iterable[Device]) -> list[UUID]:
        """Say that these are alive; return the people whose last socket died without a word."""

    def online(self, users: Iterable[UUID]) -> set[UUID]:
        """Return those of the people who are online."""

    def sockets(self, user_id: UUID) -> Counter[UUID]:
        """Return how many sockets each session of the person has."""


@cache
def presence() -> Presence:
    """Return where this process keeps who is online."""
    made: Presence = import_string(settings.PRESENCE)()
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
    online = presence().online(asked)
    seen = dict(LastSeen.objects.filter(user__in=asked).values_list("user_id", "at"))
    return {user: Seen(user in online, seen.get(user)) for user in asked}


def announce_online(user_id: UUID) -> None:
    """Tell those who may know that the first device of a person is on."""
    _tell_audience("user_online", user_id, {})


def announce_offline(user_id: UUID) -> None:
    """Note that the last device of a person is off, and tell those who may know."""
    now = timezone.now()
    LastSeen.objects.update_or_create(user_id=user_id, defaults={"at": now})
    _tell_audience("user_offline", user_id, {"lastSeenAt": rfc3339(now)})


def _tell_audience(kind: str, user_id: UUID, more: Mapping[str, Any]) -> None:
    streams = [user_stream(other) for other in audience_of(user_id)]
    signal(streams, kind, {"userId": str(user_id), **more})
