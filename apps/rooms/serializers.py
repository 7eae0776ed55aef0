"""Rooms on the wire."""

from rest_framework import serializers

from apps.accounts.serializers import UserOutput
from apps.core.serializers import CamelSerializer
from apps.realtime.serializers import RoomName


class RoomInput(CamelSerializer):
    """A room: `post.<id>`, `conversation.<id>`, or `room.` with a name of your own."""

    room = RoomName()


class RoomOutput(CamelSerializer):
    """A room and who is inside."""

    room = RoomName()
    members = UserOutput(many=True, help_text="At most 100 of those who are inside.")
    count = serializers.IntegerField(min_value=0, help_text="How many users are inside.")


class RoomSignalPayload(CamelSerializer):
    room = RoomName()
    user = UserOutput()
