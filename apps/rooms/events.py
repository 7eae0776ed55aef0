"""The signals of rooms, to those who are inside, and the kind of room that is about nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.accounts.models import User
from apps.accounts.selectors import users_by_id
from apps.accounts.serializers import UserOutput
from apps.realtime import registry
from apps.realtime.event_log import signal
from apps.realtime.rooms import RoomChange, RoomType
from apps.realtime.server_frames import RoomSignal
from apps.rooms.serializers import RoomSignalPayload

# Nobody is told who enters or leaves a room with more users: each change would be a frame to all of
# them.
MOST_TOLD = 100

RoomType(prefix="room", ids=r"[a-z0-9-]{1,64}", viewers=lambda _, users: users)


@dataclass(frozen=True, kw_only=True)
class UserJoinedRoom(RoomSignal):
    """A user entered a room that you are inside, on the first of their devices."""

    type = "user_joined_room"
    payload = RoomSignalPayload

    user: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class UserLeftRoom(RoomSignal):
    """A user left a room that you are inside, on the last of their devices."""

    type = "user_left_room"
    payload = RoomSignalPayload

    user: Mapping[str, Any]


def rooms_changed(changes: Sequence[RoomChange]) -> None:
    """Signal to those who are inside that users entered or left."""
    told = [change for change in changes if change.count <= MOST_TOLD]
    users = users_by_id({change.user_id for change in told})
    # The row is gone if the account was deleted.
    signal(*(_signal(one, users[one.user_id]) for one in told if one.user_id in users))


def _signal(change: RoomChange, user: User) -> RoomSignal:
    kind = UserJoinedRoom if change.inside else UserLeftRoom
    return kind(
        room=change.room,
        user_id=change.user_id,
        version=change.version,
        user=UserOutput.dump(user),
    )


registry.room_announcer(rooms_changed)
