"""What the accounts announce, to the user whom it concerns."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from apps.accounts.serializers import ProfileOutput, SecurityAlertPayload
from apps.realtime.event_log import publish
from apps.realtime.serializers import ConnectedPayload
from apps.realtime.server_frames import Event
from apps.realtime.streams import USER

ConnectedPayload.user_serializer = ProfileOutput


@dataclass(frozen=True, kw_only=True)
class SecurityAlert(Event):
    """Many logins to your account were tried."""

    type = "security_alert"
    stream = USER
    payload = SecurityAlertPayload

    reason: str
    at: datetime


def logins_failing(user_id: UUID) -> None:
    """Tell a user that somebody keeps trying to log in as them."""
    publish(SecurityAlert(to=[user_id], reason="failed_logins", at=timezone.now()))
