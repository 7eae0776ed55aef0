"""The events of messages: to the two users of a direct conversation, or on the stream of a group,
and to nobody else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.chat.models import Message
from apps.chat.selectors import conversation_members, group_readers, groups_standing, peers_of
from apps.chat.serializers import MessageDeletedPayload, MessagePayload, TypingPayload
from apps.realtime import registry
from apps.realtime.event_log import publish, redact, signal
from apps.realtime.rooms import RoomType
from apps.realtime.server_frames import Event, Signal
from apps.realtime.streams import USER, StreamType

registry.audience(peers_of)

CONVERSATION = StreamType(
    prefix="conversation",
    of="conversationId",
    description="The events of a group. The sockets of its members are subscribed from when they "
    "join until they leave, and may read the events of that time. Nobody else may.",
    readers=group_readers,
    automatic=groups_standing,
)

CONVERSATION_ROOM = RoomType(prefix="conversation", viewers=conversation_members)


@dataclass(frozen=True, kw_only=True)
class GroupEvent(Event):
    """What all events of a group have."""

    stream = CONVERSATION

    conversation_id: UUID


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
class GroupMessageSent(MessageReceived):
    """A message to a group, to all of its members."""

    stream = CONVERSATION


@dataclass(frozen=True, kw_only=True)
class MessageDeleted(Event):
    """A message was deleted, for all members of its conversation."""

    type = "chat_delete"
    stream = USER
    payload = MessageDeletedPayload

    message_id: UUID
    sender_id: UUID
    receiver_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class GroupMessageDeleted(MessageDeleted):
    """A message to a group was deleted, for all members."""

    stream = CONVERSATION


@dataclass(frozen=True, kw_only=True)
class Typing(Signal):
    """A user types to you, or stopped."""

    type = "typing"
    stream = USER
    payload = TypingPayload

    sender_id: UUID
    is_typing: bool


def messages_sent(messages: Iterable[tuple[Message, Mapping[str, Any]]]) -> None:
    """Publish each message to its receiver and to the sender's own devices, or to its group."""
    events: list[Event] = []
    for message, output in messages:
        subject = message.pk
        if message.receiver_id is None:
            group = message.conversation_id
            events.append(GroupMessageSent(to=[group], message=output, subject=subject))
        else:
            events += [
                MessageReceived(to=[message.receiver_id], message=output, subject=subject),
                MessageSent(to=[message.sender_id], message=output, subject=subject),
            ]
    publish(*events)


def message_deleted(message: Message) -> None:
    """Publish to all members that a message is deleted, and take its words out of the log."""
    redact({message.pk: {"message": {"content": ""}}})
    sender, receiver = message.sender_id, message.receiver_id
    kind = GroupMessageDeleted if receiver is None else MessageDeleted
    to = [message.conversation_id] if receiver is None else [sender, receiver]
    publish(kind(to=to, message_id=message.pk, sender_id=sender, receiver_id=receiver))


def typing(sender_id: UUID, receiver_id: UUID, is_typing: bool) -> None:
    """Signal to the receiver that the sender types, or stopped."""
    signal(Typing(to=[receiver_id], sender_id=sender_id, is_typing=is_typing))
