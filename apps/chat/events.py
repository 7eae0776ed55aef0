"""What the chat announces, each time to the two people of the conversation and nobody else."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.chat.models import Message
from apps.chat.selectors import peers_of
from apps.chat.serializers import (
    DeliveryReceiptPayload,
    MessageDeletedPayload,
    MessagePayload,
    ReadReceiptPayload,
    TypingPayload,
)
from apps.realtime import registry
from apps.realtime.log import publish, redact, signal
from apps.realtime.server_frames import Event, Signal
from apps.realtime.streams import USER

registry.audience(peers_of)


@dataclass(frozen=True, kw_only=True)
class MessageReceived(Event):
    """A message to you."""

    type = "chat_message"
    stream = USER
    payload = MessagePayload

    message: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class MessageSent(Event):
    """A message from you, from one of your devices."""

    type = "chat_message_sent"
    stream = USER
    payload = MessagePayload

    message: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class MessagesDelivered(Event):
    """Messages of yours are on a device of their receiver."""

    type = "delivery_receipt"
    stream = USER
    payload = DeliveryReceiptPayload

    delivered_to: UUID
    message_ids: list[UUID]
    delivered_at: datetime


@dataclass(frozen=True, kw_only=True)
class MessagesRead(Event):
    """Messages of yours were read, or you read messages on another device."""

    type = "read_receipt"
    stream = USER
    payload = ReadReceiptPayload

    read_by: UUID
    message_ids: list[UUID]
    read_at: datetime


@dataclass(frozen=True, kw_only=True)
class MessageDeleted(Event):
    """A message was deleted, for both."""

    type = "chat_delete"
    stream = USER
    payload = MessageDeletedPayload

    message_id: UUID
    sender_id: UUID
    receiver_id: UUID


@dataclass(frozen=True, kw_only=True)
class Typing(Signal):
    """Somebody types to you, or stopped."""

    type = "typing"
    stream = USER
    payload = TypingPayload

    sender_id: UUID
    is_typing: bool


def messages_sent(messages: Iterable[tuple[Message, Mapping[str, Any]]]) -> None:
    """Tell the receiver of each message, and its sender's own devices."""
    events: list[Event] = []
    for message, shape in messages:
        subject = message.pk
        events += [
            MessageReceived(to=[message.receiver_id], message=shape, subject=subject),
            MessageSent(to=[message.sender_id], message=shape, subject=subject),
        ]
    publish(*events)


def messages_delivered(receiver_id: UUID, messages: Iterable[Message], at: datetime) -> None:
    """Tell the sender of each message that a device of its receiver has it."""
    publish(
        *(
            MessagesDelivered(
                to=[sender], delivered_to=receiver_id, message_ids=ids, delivered_at=at
            )
            for sender, ids in _by_sender(messages).items()
        )
    )


def messages_read(reader_id: UUID, messages: Iterable[Message], at: datetime) -> None:
    """Tell the sender of each message, and the other devices of its reader, that it was read."""
    publish(
        *(
            MessagesRead(to=[sender, reader_id], read_by=reader_id, message_ids=ids, read_at=at)
            for sender, ids in _by_sender(messages).items()
        )
    )


def message_deleted(message: Message) -> None:
    """Tell both that a message is gone, and take its words out of the log."""
    redact([message.pk], {"message": {"content": ""}})
    publish(
        MessageDeleted(
            to=[message.sender_id, message.receiver_id],
            message_id=message.pk,
            sender_id=message.sender_id,
            receiver_id=message.receiver_id,
        )
    )


def typing(sender_id: UUID, receiver_id: UUID, is_typing: bool) -> None:
    """Tell the receiver that somebody types, or stopped."""
    signal(Typing(to=[receiver_id], sender_id=sender_id, is_typing=is_typing))


def _by_sender(messages: Iterable[Message]) -> dict[UUID, list[UUID]]:
    ids: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for message in messages:
        ids[message.sender_id].append(message.pk)
    return ids
