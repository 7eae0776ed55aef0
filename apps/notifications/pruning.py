"""The end of old notifications."""

from datetime import timedelta

from django.utils import timezone

from apps.notifications.models import CountedKey, Notification
from apps.notifications.removing import notifications_remove

# For how long a notification is kept, read or not.
KEPT = timedelta(days=90)


def notifications_prune() -> int:
    """Delete the notifications that are older than KEPT, with the keys that they have counted, and
    return how many there were. This is an action of the system, without an actor."""
    limit = timezone.now() - KEPT
    old = Notification.objects.filter(created_at__lt=limit).order_by("created_at")
    deleted = notifications_remove(old)
    CountedKey.objects.filter(created_at__lt=limit).delete()
    return deleted
