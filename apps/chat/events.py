"""What the chat announces, each time to the two people of the conversation and nobody else."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.chat.models import Message
from apps.chat.selectors import peers_of
from apps.core.http.envelope import rfc3339
from apps.realtime import registry
from apps.realtime.frames import user_stream
from apps.realtime.log import Announcement, publish, redact, signal

registry.audience(peers_of)


def messages_sent(messages: Iterable[tuple[Message, Mapping[str, Any]]]) -> None:
    """Tell the receiver of each message, and its sender's own devices."""
    announcements = []
    for message, shape in messages:
        data = {"message": shape}
        announcements += [
            Announcement(user_stream(message.receiver_id), "chat_message", data, message.pk),
            Announcement(user_stream(message.sender_id), "chat_message_sent", data, message.pk),
        ]
    publish(announcements)


def messages_delivered(messages: Iterable[Message], at: datetime) -> None:
    """Tell the sender of each message that a device of its receiver has it."""
    publish(
        [
            Announcement(
                user_stream(sender),
                "delivery_receipt",
                {"deliveredTo": str(receiver), "messageIds": ids, "deliveredAt": rfc3339(at)},
            )
            for (sender, receiver), ids in _by_people(messages).items()
        ]
    )


def messages_read(messages: Iterable[Message], at: datetime) -> None:
    """Tell the sender of each message, and the other devices of its reader, that it was read."""
    publish(
        [
            Announcement(
                user_stream(person),
                "read_receipt",
                {"readBy": str(reader), "messageIds": ids, "readAt": rfc3339(at)},
            )
            for (sender, reader), ids in _by_people(messages).items()
            for person in (sender, reader)
        ]
    )


def message_deleted(message: Message) -> None:
    """Tell both that a message is gone, and take its words out of the log."""
    redact([message.pk], {"message": {"content": ""}})
    data = {
        "messageId": str(message.pk),
        "senderId": str(message.sender_id),
        "receiverId": str(message.receiver_id),
    }
    publish(
        [
            Announcement(user_stream(person), "chat_delete", data)
            for person in (message.sender_id, message.receiver_id)
        ]
    )


def typing(sender_id: UUID, receiver_id: UUID, is_typing: bool) -> None:
    """Tell the receiver that somebody types, or stopped."""
    data = {"senderId": str(sender_id), "isTyping": is_typing}
    signal([user_stream(receiver_id)], "typing", data)


def _by_people(messages: Iterable[Message]) -> dict[tuple[UUID, UUID], list[str]]:
    ids: defaultdict[tuple[UUID, UUID], list[str]] = defaultdict(list)
    for message in messages:
        ids[message.sender_id, message.receiver_id].append(str(message.pk))
    return ids
