"""Facts about notifications that the fuzz run cannot find out by itself."""

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from django.db import transaction

from apps.notifications.categories import categories
from apps.notifications.services import notify
from apps.notifications.tests.push_service import Browser
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
    reasons={
        "Send either ids, or all: true.",
        "There is no such time zone.",
        f"The categories are {', '.join(sorted(categories()))}.",
        "Use an https address without a fragment.",
        "Use an address without a user or a port.",
        "Use the name of a public host.",
        "This is no address.",
        "This is no point on the curve P-256, as base64url.",
        "Use 16 bytes, as base64url.",
    },
    things={"notifications_deliveries": _notification_of},
    values={
        "ids": lambda caller, other: [_notification_of(caller, other)],
        "emailEnabled": lambda caller, other: False,
        "notifications_push_subscription_add.endpoint": lambda caller, other: (
            f"https://push.example.com/{uuid4()}"
        ),
        "notifications_push_subscription_add.keys": lambda caller, other: Browser(
            "fuzz"
        ).subscription["keys"],
    },
)
