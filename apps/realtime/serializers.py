"""The websocket's own data: what its commands take, and what its frames carry."""

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


class PresenceQuery(CamelSerializer):
    """People."""

    user_ids = ShortList(child=Identifier(), min_length=1, max_length=100)


class UserOnlinePayload(CamelSerializer):
    user_id = serializers.UUIDField()


class UserOfflinePayload(CamelSerializer):
    user_id = serializers.UUIDField()
    last_seen_at = serializers.DateTimeField()
