"""The events of notifications, for their recipients."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.notifications.models import Notification
from apps.notifications.serializers import (
    NotificationOutput,
    NotificationPayload,
    NotificationsReadPayload,
)
from apps.realtime.event_log import publish
from apps.realtime.server_frames import Event
from apps.realtime.streams import USER


@dataclass(frozen=True, kw_only=True)
class NotificationMade(Event):
    """You are told something, or one more thing of a group."""

    type = "notification"
    stream = USER
    payload = NotificationPayload

    notification: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class NotificationsRead(Event):
    """You read notifications, on this device or another one."""

    type = "notifications_read"
    stream = USER
    payload = NotificationsReadPayload

    notification_ids: Sequence[UUID]
    read_at: datetime


def notifications_made(notifications: Iterable[Notification]) -> None:
    """Publish notifications, each to its recipient."""
    publish(
        *(
            NotificationMade(
                to=[one.recipient_id], notification=NotificationOutput.dump(one), subject=one.pk
            )
            for one in notifications
        )
    )


def notifications_read(user_id: UUID, ids: Sequence[UUID], at: datetime) -> None:
    """Publish to a user that they have read notifications."""
    publish(NotificationsRead(to=[user_id], notification_ids=ids, read_at=at))
