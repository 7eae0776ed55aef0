"""Facts about notifications that the fuzz run cannot find out by itself."""

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from django.db import transaction

from apps.notifications.services import notify
from testing.fuzz.knowledge import Knowledge
from testing.fuzz.people import EACH, People, Person


def _notification_of(caller: Person, other: Person) -> str:
    """Return a notification of the caller. No route makes one."""
    key = str(uuid4())
    with transaction.atomic():
        [told] = notify([UUID(caller.id)], "posts", type="test", title="Ahoy", key=key)
    return str(told.pk)


def _past(people: People) -> Mapping[str, Sequence[str | int]]:
    owners = (people.ann, people.bob)
    told = [_notification_of(owner, owner) for _ in range(EACH) for owner in owners]
    return {"notifications": told}


KNOWLEDGE = Knowledge(
    real={
        "notifications_deliveries": {"path.id": "notifications"},
        "notifications_read": {"body.ids[*]": "notifications"},
    },
    past=_past,
    reasons={"Send either ids, or all: true.", "There is no such time zone."},
    things={"notifications_deliveries": _notification_of},
    values={"ids": lambda caller, other: [_notification_of(caller, other)]},
)
