"""Reads of notifications: users see their own."""

from collections.abc import Mapping
from datetime import datetime, time
from uuid import UUID

from django.db.models import QuerySet

from apps.accounts.models import User
from apps.notifications.decisions import QuietHours, Situation, Wanted
from apps.notifications.errors import NotificationNotFound
from apps.notifications.models import Channel, Delivery, Notification, Preferences


def notifications_of(user: User) -> QuerySet[Notification]:
    """Return the user's notifications, the newest first."""
    return Notification.objects.filter(recipient=user).order_by("-id")


def with_actors(notifications: QuerySet[Notification]) -> QuerySet[Notification]:
    """Return notifications with those who did what they tell."""
    return notifications.select_related("actor")


def notification_list(user: User, unread: bool = False) -> QuerySet[Notification]:
    """Return the user's notifications, the newest first: all, or those that are unread."""
    found = notifications_of(user)
    return found.filter(read_at=None) if unread else found


def unread_count(user: User) -> Mapping[str, int]:
    """Return how many notifications of the user are unread."""
    return {"total": notification_list(user, unread=True).count()}


def deliveries_of(user: User, notification_id: UUID) -> QuerySet[Delivery]:
    """Return what became of a notification of the user by each channel; raise
    NotificationNotFound."""
    if not Notification.objects.filter(recipient=user, pk=notification_id).exists():
        raise NotificationNotFound
    return Delivery.objects.filter(notification=notification_id).order_by("id")


def preferences_of(user: User) -> Preferences:
    """Return what the user wants to be told; the defaults if they have chosen nothing."""
    return Preferences.objects.filter(user=user).first() or Preferences(user=user)


def wanted_by(user: User) -> Wanted:
    """Return what a user wants, for a decision. The user was read with their preferences."""
    found: Preferences | None = getattr(user, "notification_preferences", None)
    return Wanted() if found is None else wanted_in(found)


def situation_of(
    notification: Notification, channel: str, user: User, *, now: datetime, **found: bool
) -> Situation:
    """Return what the decision about a notification of a user depends on. `found` is what the user
    and the notification do not tell: `blocked`, `subscribed`."""
    return Situation(
        channel=channel,
        category=notification.category,
        now=now,
        created_at=notification.created_at,
        wanted=wanted_by(user),
        read=notification.read_at is not None,
        disabled=not user.is_active,
        verified=user.email_verified,
        **found,
    )


def wanted_in(preferences: Preferences) -> Wanted:
    """Return preferences as a decision takes them."""
    enabled = {
        Channel.WEBSOCKET: preferences.websocket_enabled,
        Channel.EMAIL: preferences.email_enabled,
        Channel.PUSH: preferences.push_enabled,
    }
    quiet = None
    if preferences.quiet_from is not None and preferences.quiet_to is not None:
        quiet = QuietHours(
            time.fromisoformat(preferences.quiet_from),
            time.fromisoformat(preferences.quiet_to),
            preferences.timezone,
        )
    return Wanted(
        channels_off=[channel for channel, is_on in enabled.items() if not is_on],
        categories_off=preferences.categories_off,
        email_categories_off=preferences.email_categories_off,
        quiet=quiet,
        digest=preferences.digest == Preferences.Digest.DAILY,
    )
