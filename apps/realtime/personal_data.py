"""What realtime keeps of a user: events, when they were last seen, and their websockets."""

from collections.abc import Mapping
from uuid import UUID

from django.db.models import Max, TextField
from django.db.models.functions import Cast

from apps.core.features import PersonalData
from apps.realtime.event_log import events_remove
from apps.realtime.models import LastSeen, LoggedEvent, SocketTimeline, Stream
from apps.realtime.streams import USER

# Events whose text one statement searches.
SEARCHED_AT_ONCE = 20_000


def _erase(user_id: UUID, _: UUID) -> Mapping[str, int]:
    """Remove the stream of the user, and the events of others that name them."""
    own = USER.name(user_id)
    events = _remove_events(user_id, own)
    Stream.objects.filter(name=own).delete()
    LastSeen.objects.filter(user=user_id).delete()
    SocketTimeline.objects.filter(user=user_id).delete()
    return {"events": events}


def _remove_events(user_id: UUID, own: str) -> int:
    removed = 0
    last = LoggedEvent.objects.aggregate(last=Max("pk"))["last"] or 0
    for start in range(0, last + 1, SEARCHED_AT_ONCE):
        part = LoggedEvent.objects.filter(pk__gte=start, pk__lt=start + SEARCHED_AT_ONCE)
        named = part.annotate(text=Cast("data", TextField())).filter(text__contains=str(user_id))
        found = set(named.values_list("pk", flat=True))
        found |= set(part.filter(stream=own).values_list("pk", flat=True))
        if found:
            removed += events_remove(found)
    return removed


PERSONAL_DATA = PersonalData(
    fields={"realtime.LastSeen.user", "realtime.SocketTimeline.user"},
    exports={
        "last_seen": lambda user_id: LastSeen.objects.filter(user=user_id).values("at"),
        "websockets": lambda user_id: SocketTimeline.objects.filter(user=user_id).values(
            *("opened_at", "closed_at", "address", "user_agent", "code", "steps", "sent")
        ),
    },
    erase=_erase,
)
