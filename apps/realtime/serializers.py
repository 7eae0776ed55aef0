"""The websocket's own data: what its commands take, and what its frames carry."""

from typing import Any, ClassVar

from rest_framework import serializers

from apps.core.serializers import CamelSerializer, Identifier, ShortList, Text, WholeNumber


class SubscribeInput(CamelSerializer):
    """A stream, and the last number and the epoch that the client has of it."""

    stream = Text(max_length=100)
    after = WholeNumber(min_value=0, max_value=2**63 - 1, required=False)
    epoch = Text(max_length=12, required=False, allow_blank=True)


class UnsubscribeInput(CamelSerializer):
    """A stream."""

    stream = Text(max_length=100)


class PingInput(CamelSerializer):
    """Anything: it is not looked at."""


class PresenceQuery(CamelSerializer):
    """Users."""

    user_ids = ShortList(child=Identifier(), min_length=1, max_length=100)


class UnsubscribedAnswer(CamelSerializer):
    stream = serializers.CharField()


class Heads(serializers.DictField):
    """The last number of each stream, by its name."""

    child = serializers.IntegerField(min_value=0)


class ConnectedPayload(CamelSerializer):
    # How users are shown to themselves is for the accounts to say, which set this as they start.
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


class FieldErrorPayload(CamelSerializer):
    field = serializers.CharField(help_text="The path of the field, such as items.3.title.")
    message = serializers.CharField()
    code = serializers.CharField(help_text="The rule that it breaks.")


class ErrorPayload(CamelSerializer):
    message = serializers.CharField()
    code = serializers.CharField(help_text="See the page of errors.")
    errors = FieldErrorPayload(  # type: ignore[assignment]
        many=True, required=False, help_text="Every wrong field."
    )


class SeenPayload(CamelSerializer):
    online = serializers.BooleanField()
    last_seen_at = serializers.DateTimeField(allow_null=True)


class PresencePayload(CamelSerializer):
    presence = serializers.DictField(child=SeenPayload(), help_text="By the id of the user.")


class ResetPayload(CamelSerializer):
    stream = serializers.CharField()
    head = serializers.IntegerField(min_value=0, help_text="The stream's last number.")
    epoch = serializers.CharField(
        allow_blank=True, help_text="The log's present life; empty while it has no event."
    )


class SubscribedPayload(ResetPayload):
    recovered = serializers.BooleanField(help_text="True if what was missed follows.")


class UserOnlinePayload(CamelSerializer):
    user_id = serializers.UUIDField()


class UserOfflinePayload(CamelSerializer):
    user_id = serializers.UUIDField()
    last_seen_at = serializers.DateTimeField()
