"""The end of old notifications."""

from datetime import timedelta

from django.utils import timezone

from apps.notifications.models import CountedKey, Notification

# For how long a notification is kept, read or not.
KEPT = timedelta(days=90)
PRUNED_AT_ONCE = 1_000


def notifications_prune() -> int:
    """Delete the notifications that are older than KEPT, with the keys that they have counted, and
    return how many there were. This is an action of the system, without an actor."""
    limit = timezone.now() - KEPT
    old = Notification.objects.filter(created_at__lt=limit).order_by("created_at")
    deleted = 0
    while part := list(old.values_list("pk", flat=True)[:PRUNED_AT_ONCE]):
        deleted += Notification.objects.filter(pk__in=part).delete()[1][Notification._meta.label]
    CountedKey.objects.filter(created_at__lt=limit).delete()
    return deleted
