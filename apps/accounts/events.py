"""What the accounts announce, to the person whom it concerns, and who may follow it."""

from uuid import UUID

from django.utils import timezone

from apps.core.http.envelope import rfc3339
from apps.realtime import registry
from apps.realtime.frames import user_stream
from apps.realtime.log import Announcement, publish

registry.stream("user", lambda user_id, rest: str(user_id) == rest)


def logins_failing(user_id: UUID) -> None:
    """Tell a person that somebody keeps trying to log in as them."""
    data = {"reason": "failed_logins", "at": rfc3339(timezone.now())}
    publish([Announcement(user_stream(user_id), "security_alert", data)])
