"""The data of the websocket's own commands and frames."""

from typing import Any, ClassVar

from django.db.models import TextChoices
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.examples import EXAMPLE_ID
from apps.core.serializers import CamelSerializer, Identifier, ShortList, Text, WholeNumber

EXAMPLE = f"user.{EXAMPLE_ID}"
ROOM_EXAMPLE = f"post.{EXAMPLE_ID}"


class Activity(TextChoices):
    """What a user is at a device, or at all of their devices together."""

    ACTIVE = "active"
    AWAY = "away"


@extend_schema_field({"type": "string", "minLength": 1, "maxLength": 100, "examples": [EXAMPLE]})
class StreamName(Text):
    """The name of a stream."""

    def __init__(self) -> None:
        super().__init__(max_length=100)


@extend_schema_field(
    {"type": "string", "minLength": 1, "maxLength": 100, "examples": [ROOM_EXAMPLE]}
)
class RoomName(Text):
    """The name of a room."""

    def __init__(self) -> None:
        super().__init__(max_length=100)


@extend_schema_field(
    {
        "type": "object",
        "description": "The last number of each stream that you are subscribed to.",
        "additionalProperties": {"type": "integer", "minimum": 0},
        "examples": [{EXAMPLE: 42}],
    }
)
class Heads(serializers.DictField):
    """The heads of streams."""


class SubscribeInput(CamelSerializer):
    """A stream, with the last number and the epoch that the client has of it."""

    stream = StreamName()
    after = WholeNumber(min_value=0, max_value=2**63 - 1, required=False)
    epoch = Text(max_length=12, required=False, allow_blank=True)


class UnsubscribeInput(CamelSerializer):
    """A stream."""

    stream = StreamName()


class PingInput(CamelSerializer):
    """Anything; it is not read."""

    @classmethod
    def load(cls, data: Any) -> dict[str, Any]:
        """Return nothing without validating: this is the most frequent command."""
        return {}


class PresenceQuery(CamelSerializer):
    """Users."""

    user_ids = ShortList(child=Identifier(), min_length=1, max_length=100)


class ActivityInput(CamelSerializer):
    """Whether you are active at this device, or away from it."""

    state = serializers.ChoiceField(Activity.choices)


class UnsubscribeAck(CamelSerializer):
    stream = StreamName()


class ConnectedPayload(CamelSerializer):
    # How users are shown to themselves is declared by the accounts app, which sets this at start.
    user_serializer: ClassVar[type[CamelSerializer]]

    client_id = serializers.UUIDField()
    server_time = serializers.DateTimeField()
    streams = Heads()
    heartbeat = serializers.IntegerField(help_text="Seconds from one `heartbeat` to the next.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the declared fields, and the user."""
        return {**super().get_fields(), "user": self.user_serializer()}


class HeadsPayload(CamelSerializer):
    streams = Heads()


class PongPayload(CamelSerializer):
    timestamp = serializers.DateTimeField()
    streams = Heads()


class AckPayload(CamelSerializer):
    """What the command returns."""


@extend_schema_field({"$ref": "#/components/schemas/ErrorCode"})
class ErrorCode(serializers.CharField):
    """The code of a refusal."""


class FieldErrorPayload(CamelSerializer):
    field = serializers.CharField(help_text="The path of the field, such as items.3.title.")
    message = serializers.CharField()
    code = serializers.CharField(help_text="The rule that it breaks.")


class ErrorPayload(CamelSerializer):
    message = serializers.CharField()
    code = ErrorCode()
    errors = FieldErrorPayload(  # type: ignore[assignment]
        many=True, required=False, help_text="Every wrong field."
    )


class SeenPayload(CamelSerializer):
    online = serializers.BooleanField()
    activity = serializers.ChoiceField(
        Activity.choices, allow_null=True, help_text="Null while the user is offline."
    )
    last_seen_at = serializers.DateTimeField(allow_null=True)


class PresencePayload(CamelSerializer):
    presence = serializers.DictField(child=SeenPayload(), help_text="By the id of the user.")


class LeftRoomPayload(CamelSerializer):
    room = RoomName()


class ResetPayload(CamelSerializer):
    stream = StreamName()
    head = serializers.IntegerField(min_value=0, help_text="The stream's last number.")
    epoch = serializers.CharField(
        allow_blank=True, help_text="The present epoch of the stream; empty while it has no event."
    )


class SubscribedPayload(ResetPayload):
    recovered = serializers.BooleanField(help_text="True if the events that you missed follow.")


class UserActivityPayload(CamelSerializer):
    user_id = serializers.UUIDField()
    activity = serializers.ChoiceField(Activity.choices)


class UserOfflinePayload(CamelSerializer):
    user_id = serializers.UUIDField()
    last_seen_at = serializers.DateTimeField()
