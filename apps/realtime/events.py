"""Signals of presence, to the users who may see it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.realtime.serializers import UserActivityPayload, UserOfflinePayload
from apps.realtime.server_frames import Signal
from apps.realtime.streams import USER


@dataclass(frozen=True, kw_only=True)
class UserOnline(Signal):
    """A user you talk with came online: the first of their devices connected."""

    type = "user_online"
    stream = USER
    payload = UserActivityPayload

    user_id: UUID
    activity: str

    @property
    def about(self) -> str:
        return f"presence {self.user_id}"


@dataclass(frozen=True, kw_only=True)
class UserActivity(Signal):
    """A user you talk with became active on one of their devices, or away from all of them."""

    type = "user_activity"
    stream = USER
    payload = UserActivityPayload

    user_id: UUID
    activity: str

    @property
    def about(self) -> str:
        return f"presence {self.user_id}"


@dataclass(frozen=True, kw_only=True)
class UserOffline(Signal):
    """A user you talk with went offline: no device of theirs was connected for more than 5
    seconds."""

    type = "user_offline"
    stream = USER
    payload = UserOfflinePayload

    user_id: UUID
    last_seen_at: datetime

    @property
    def about(self) -> str:
        return f"presence {self.user_id}"
