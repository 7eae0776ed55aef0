"""The chat on the wire."""

from typing import Any

from rest_framework import serializers

from apps.accounts.serializers import UserOutput
from apps.chat.models import Message
from apps.chat.shapes import conversation_shape, message_shape
from apps.core.http.pagination import ListQuery
from apps.core.serializers import (
    CamelSerializer,
    Identifier,
    ShortList,
    Text,
    WholeNumber,
)
from apps.realtime.serializers import Activity

MOST_IDS = 500


class MessageInput(CamelSerializer):
    receiver_id = Identifier()
    content = Text(min_length=1, max_length=5000)
    type = serializers.ChoiceField(Message.Type.choices, required=False)
    client_id = Text(min_length=1, max_length=64, required=False)

    def validate_type(self, value: str) -> str:
        """Refuse the types of files: there are no uploads yet."""
        if value != Message.Type.TEXT:
            raise serializers.ValidationError("Only text can be sent yet.", code="unsupported")
        return value


class ReadMessagesInput(CamelSerializer):
    """Some messages by id."""

    message_ids = ShortList(child=Identifier(), min_length=1, max_length=MOST_IDS)


class ReadConversationInput(CamelSerializer):
    """All messages of a conversation up to a number."""

    conversation_id = Identifier()
    up_to = WholeNumber(min_value=1, max_value=2**63 - 1)


class ReadInput(CamelSerializer):
    """Some messages by id, or all of a conversation up to a number."""

    variants = (ReadMessagesInput, ReadConversationInput)

    message_ids = ShortList(child=Identifier(), min_length=1, max_length=MOST_IDS, required=False)
    conversation_id = Identifier(required=False)
    up_to = WholeNumber(min_value=1, max_value=2**63 - 1, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require one of the two forms, and not both."""
        if "message_ids" in attrs:
            if "conversation_id" in attrs or "up_to" in attrs:
                raise serializers.ValidationError(
                    {"messageIds": "Send either messageIds, or conversationId and upTo."}
                )
            return attrs
        missing = {
            outside: serializers.ErrorDetail("This field is required.", code="required")
            for inside, outside in (("conversation_id", "conversationId"), ("up_to", "upTo"))
            if inside not in attrs
        }
        if len(missing) == 2:
            missing = {"messageIds": serializers.ErrorDetail("This field is required.", "required")}
        if missing:
            raise serializers.ValidationError(missing)
        return attrs


class ReceiptInput(CamelSerializer):
    """Messages of one sender, over the websocket."""

    sender_id = Identifier()
    message_ids = ShortList(child=Identifier(), min_length=1, max_length=MOST_IDS)


class DeliveredInput(CamelSerializer):
    """Messages that a device has: by id, or all of its stream up to an event number."""

    rule = {"oneOf": [{"required": ["messageIds"]}, {"required": ["seq"]}]}

    message_ids = ShortList(child=Identifier(), min_length=1, max_length=MOST_IDS, required=False)
    seq = WholeNumber(min_value=1, max_value=2**63 - 1, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require one of the two."""
        if len(attrs) != 1:
            raise serializers.ValidationError({"messageIds": "Send either messageIds or seq."})
        return attrs


class TypingInput(CamelSerializer):
    receiver_id = Identifier()
    is_typing = serializers.BooleanField()


class MessageQuery(ListQuery):
    user_id = Identifier()


class MessageOutput(CamelSerializer):
    """A message."""

    id = serializers.UUIDField()
    conversation_id = serializers.UUIDField()
    seq = serializers.IntegerField()
    sender_id = serializers.UUIDField()
    receiver_id = serializers.UUIDField(allow_null=True)
    content = serializers.CharField(source="shown_content", allow_blank=True)
    type = serializers.ChoiceField(Message.Type.choices)
    status = serializers.ChoiceField(Message.Status.choices)
    client_id = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)
    edited_at = serializers.DateTimeField(allow_null=True)
    sender = UserOutput()
    receiver = UserOutput(allow_null=True)

    @classmethod
    def dump(cls, thing: Message) -> dict[str, Any]:
        """Return a message as it is sent."""
        return message_shape(thing)


class ConversationOutput(CamelSerializer):
    """A direct conversation as one of its two users sees it."""

    id = serializers.UUIDField(source="membership.conversation_id")
    user_id = serializers.UUIDField(source="peer.pk")
    user = UserOutput(source="peer")
    last_message = MessageOutput()
    unread_count = serializers.IntegerField(source="membership.unread")
    is_online = serializers.BooleanField(source="seen.online")
    activity = serializers.ChoiceField(
        Activity.choices,
        source="seen.activity",
        allow_null=True,
        help_text="Null while they are offline.",
    )
    last_seen_at = serializers.DateTimeField(source="seen.last_seen_at", allow_null=True)

    @classmethod
    def dump(cls, thing: Any) -> dict[str, Any]:
        """Return a conversation as it is sent."""
        return conversation_shape(thing)


class ReceiptOutput(CamelSerializer):
    updated = serializers.IntegerField()
    remaining = serializers.BooleanField(
        required=False,
        help_text="True when there are too many for one call, else absent: repeat the call, with "
        "another Idempotency-Key.",
    )


class UnreadCountOutput(CamelSerializer):
    total = serializers.IntegerField()
    conversations = serializers.IntegerField(help_text="Conversations with unread messages.")


class MessagePayload(CamelSerializer):
    message = MessageOutput()


class DeliveryReceiptPayload(CamelSerializer):
    delivered_to = serializers.UUIDField()
    message_ids = serializers.ListField(child=serializers.UUIDField())
    delivered_at = serializers.DateTimeField()


class ReadReceiptPayload(CamelSerializer):
    read_by = serializers.UUIDField()
    message_ids = serializers.ListField(child=serializers.UUIDField())
    read_at = serializers.DateTimeField()


class MessageDeletedPayload(CamelSerializer):
    message_id = serializers.UUIDField()
    sender_id = serializers.UUIDField()
    receiver_id = serializers.UUIDField(allow_null=True)


class TypingAck(CamelSerializer):
    is_typing = serializers.BooleanField()


class TypingPayload(CamelSerializer):
    sender_id = serializers.UUIDField()
    is_typing = serializers.BooleanField()
