"""Messages and conversations as they are sent, for paths that are too hot for serializers. Tests
hold each equal to the serializer that OpenAPI is made from."""

from typing import Any

from apps.accounts.shapes import user_shape
from apps.core.http.envelope import plain, rfc3339


def message_shape(message: Any) -> dict[str, Any]:
    """Return what MessageOutput shows of a message, which has its status and its users."""
    receiver = message.receiver
    return {
        "id": str(message.id),
        "conversationId": str(message.conversation_id),
        "seq": message.seq,
        "senderId": str(message.sender_id),
        "receiverId": None if receiver is None else str(receiver.id),
        "content": message.shown_content,
        "type": str(message.type),
        "status": str(message.status),
        "clientId": message.client_id,
        "createdAt": rfc3339(message.created_at),
        "readAt": None if message.read_at is None else rfc3339(message.read_at),
        "editedAt": None if message.edited_at is None else rfc3339(message.edited_at),
        "sender": plain(user_shape(message.sender)),
        "receiver": None if receiver is None else plain(user_shape(receiver)),
    }


def conversation_shape(conversation: Any) -> dict[str, Any]:
    """Return what ConversationOutput shows of a selectors.ConversationSummary."""
    membership, peer, seen = conversation.membership, conversation.peer, conversation.seen
    return {
        "id": str(membership.conversation_id),
        "userId": str(peer.id),
        "user": plain(user_shape(peer)),
        "lastMessage": message_shape(conversation.last_message),
        "unreadCount": membership.unread,
        "isOnline": seen.online,
        "activity": seen.activity,
        "lastSeenAt": None if seen.last_seen_at is None else rfc3339(seen.last_seen_at),
    }
