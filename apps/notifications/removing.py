"""Deleting notifications for good."""

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from apps.notifications.models import Notification

REMOVED_AT_ONCE = 1_000


def notifications_remove(notifications: QuerySet[Notification]) -> int:
    """Delete notifications in parts, each in a transaction, and return how many there were."""
    deleted = 0
    while part := list(notifications.values_list("pk", flat=True)[:REMOVED_AT_ONCE]):
        deleted += notifications_delete(part)
    return deleted


@transaction.atomic
def notifications_delete(ids: Collection[UUID]) -> int:
    """Delete notifications with their deliveries, and return how many there were.

    They are locked first, in the order in which their recipients mark them as read. The ORM deletes
    the deliveries first, and would wait for who waits for it.
    """
    found = Notification.objects.filter(pk__in=ids)
    locked = list(
        found.select_for_update().order_by("recipient", "-pk").values_list("pk", flat=True)
    )
    Notification.objects.filter(pk__in=locked).delete()
    return len(locked)
