"""What notifications keep of a user: what they are told, what others are told about them, and what
they want to be told."""

from collections.abc import Mapping
from uuid import UUID

from django.db.models import Q

from apps.core.features import PersonalData
from apps.jobs.models import Job
from apps.notifications.models import CountedKey, Notification, Preferences, PushSubscription
from apps.notifications.removing import notifications_remove

EXPORTED = (
    *("id", "category", "type", "title", "body", "url", "actor", "count", "data", "key"),
    *("read_at", "created_at"),
)
PREFERENCES = (
    *("email_enabled", "push_enabled", "websocket_enabled", "digest", "categories_off"),
    *("email_categories_off", "quiet_from", "quiet_to", "timezone"),
)


def _erase(user_id: UUID, _: UUID) -> Mapping[str, int]:
    theirs = Notification.objects.filter(Q(recipient=user_id) | Q(actor=user_id))
    return {
        "notifications": notifications_remove(theirs.order_by()),
        "counted keys": CountedKey.objects.filter(
            Q(recipient=user_id) | Q(key__contains=str(user_id))
        ).delete()[0],
        "push subscriptions": PushSubscription.objects.filter(session__user=user_id).delete()[0],
        # The first argument of a digest is its user.
        "digests": Job.objects.filter(
            task__startswith="apps.notifications.tasks.", arguments__args__0=str(user_id)
        ).delete()[0],
        "notification preferences": Preferences.objects.filter(user=user_id).delete()[0],
    }


PERSONAL_DATA = PersonalData(
    fields={
        "notifications.Notification.recipient",
        "notifications.Notification.actor",
        "notifications.CountedKey.recipient",
        "notifications.Preferences.user",
    },
    exports={
        "notifications": lambda user_id: (
            Notification.objects.filter(recipient=user_id).order_by("pk").values(*EXPORTED)
        ),
        "notification_preferences": lambda user_id: Preferences.objects.filter(user=user_id).values(
            *PREFERENCES
        ),
        # Without the keys, with which others could write to the browser.
        "push_subscriptions": lambda user_id: (
            PushSubscription.objects.filter(session__user=user_id)
            .order_by("pk")
            .values("id", "session_id", "endpoint", "created_at", "last_sent_at")
        ),
    },
    erase=_erase,
)
