"""The payloads of the events of groups."""

from rest_framework import serializers

from apps.chat.models import Membership
from apps.core.serializers import CamelSerializer


class GroupPayload(CamelSerializer):
    conversation_id = serializers.UUIDField()


class GroupCreatedPayload(GroupPayload):
    title = serializers.CharField()
    owner_id = serializers.UUIDField()
    member_ids = serializers.ListField(
        child=serializers.UUIDField(), help_text="The other members."
    )


class MembersJoinedPayload(GroupPayload):
    user_ids = serializers.ListField(child=serializers.UUIDField())
    joined_seq = serializers.IntegerField(help_text="They read the messages after this number.")
    by = serializers.UUIDField()


class MemberLeftPayload(GroupPayload):
    user_id = serializers.UUIDField()
    by = serializers.UUIDField(help_text="The user themselves, or the member who removed them.")


class MemberRole(CamelSerializer):
    user_id = serializers.UUIDField()
    role = serializers.ChoiceField(Membership.Role.choices)


class RolesChangedPayload(GroupPayload):
    roles = MemberRole(many=True)
    by = serializers.UUIDField()


class GroupRenamedPayload(GroupPayload):
    title = serializers.CharField()
    by = serializers.UUIDField()


class GroupDeletedPayload(GroupPayload):
    by = serializers.UUIDField()


class NumberRange(CamelSerializer):
    first = serializers.IntegerField()
    last = serializers.IntegerField(
        help_text="The range covers all messages of others from the first to the last number."
    )


class RangesPayload(GroupPayload):
    user_id = serializers.UUIDField()
    ranges = NumberRange(many=True)
    up_to = serializers.IntegerField(
        help_text="Up to this number they have every message of others since they joined."
    )


class GroupReadPayload(RangesPayload):
    read_at = serializers.DateTimeField()


class GroupDeliveredPayload(RangesPayload):
    delivered_at = serializers.DateTimeField()
