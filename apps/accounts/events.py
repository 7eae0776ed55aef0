"""The events of accounts, each for the user it is about."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from apps.accounts.blocks import blocked_pairs
from apps.accounts.selectors import presence_followers
from apps.accounts.serializers import ProfileOutput, SecurityAlertPayload
from apps.realtime import registry
from apps.realtime.event_log import publish
from apps.realtime.serializers import ConnectedPayload
from apps.realtime.server_frames import Event
from apps.realtime.streams import USER

ConnectedPayload.user_serializer = ProfileOutput
registry.audience(presence_followers)
registry.separation(blocked_pairs)


@dataclass(frozen=True, kw_only=True)
class SecurityAlert(Event):
    """Somebody tried to log in to your account many times."""

    type = "security_alert"
    stream = USER
    payload = SecurityAlertPayload

    reason: str
    at: datetime


def alert_failed_logins(user_id: UUID) -> None:
    """Publish to a user that somebody keeps trying to log in as them."""
    publish(SecurityAlert(to=[user_id], reason="failed_logins", at=timezone.now()))
