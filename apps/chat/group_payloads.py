"""What the events of groups carry."""

from rest_framework import serializers

from apps.chat.models import Membership
from apps.core.serializers import CamelSerializer


class GroupPayload(CamelSerializer):
    conversation_id = serializers.UUIDField()


class GroupCreatedPayload(GroupPayload):
    title = serializers.CharField()
    owner_id = serializers.UUIDField()
    member_ids = serializers.ListField(
        child=serializers.UUIDField(), help_text="The others, who are members."
    )


class MembersJoinedPayload(GroupPayload):
    user_ids = serializers.ListField(child=serializers.UUIDField())
    joined_seq = serializers.IntegerField(
        help_text="They read what was said after the message of this number."
    )
    by = serializers.UUIDField()


class MemberLeftPayload(GroupPayload):
    user_id = serializers.UUIDField()
    by = serializers.UUIDField(help_text="Themselves, or who has removed them.")


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
        help_text="Of what others said from the first to the last number, all is meant."
    )


class RangesPayload(GroupPayload):
    user_id = serializers.UUIDField()
    ranges = NumberRange(many=True)
    up_to = serializers.IntegerField(
        help_text="Up to here they have everything that others said since they joined."
    )


class GroupReadPayload(RangesPayload):
    read_at = serializers.DateTimeField()


class GroupDeliveredPayload(RangesPayload):
    delivered_at = serializers.DateTimeField()
