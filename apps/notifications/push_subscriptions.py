"""The subscriptions of browsers to web push: each is that of one session."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import QuerySet

from apps.accounts.selectors import active_sessions
from apps.notifications.models import PushSubscription

# A message goes to at most so many browsers of a user: those that subscribed last.
MOST_BROWSERS = 20


def subscriptions_of(user_id: UUID) -> QuerySet[PushSubscription]:
    """Return the subscriptions of a user that are good, those of active sessions: the latest
    first."""
    sessions = active_sessions().filter(user=user_id)
    return PushSubscription.objects.filter(session__in=sessions).order_by("-id")


def subscribed_among(user_ids: Collection[UUID]) -> set[UUID]:
    """Return which of the users have a browser to which messages can be pushed."""
    sessions = active_sessions().filter(user__in=user_ids, push_subscription__isnull=False)
    return set(sessions.values_list("user", flat=True))
