"""The events of reading and delivery. Senders of direct messages receive the ids of the messages;
the stream of a group receives their numbers."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.chat.events import GroupEvent
from apps.chat.group_payloads import GroupDeliveredPayload, GroupReadPayload
from apps.chat.models import Message
from apps.chat.serializers import DeliveryReceiptPayload, ReadReceiptPayload
from apps.realtime.event_log import publish
from apps.realtime.server_frames import Event
from apps.realtime.streams import USER

Ranges = Sequence[Mapping[str, int]]


@dataclass(frozen=True, kw_only=True)
class MessagesDelivered(Event):
    """A device of the receiver has messages of yours."""

    type = "delivery_receipt"
    stream = USER
    payload = DeliveryReceiptPayload

    delivered_to: UUID
    message_ids: list[UUID]
    delivered_at: datetime


@dataclass(frozen=True, kw_only=True)
class MessagesRead(Event):
    """The receiver read messages of yours, or you read messages on another device."""

    type = "read_receipt"
    stream = USER
    payload = ReadReceiptPayload

    read_by: UUID
    message_ids: list[UUID]
    read_at: datetime


@dataclass(frozen=True, kw_only=True)
class GroupReceipt(GroupEvent):
    """What a member has read of a group, or a device of theirs has received."""

    user_id: UUID
    ranges: Ranges
    up_to: int


@dataclass(frozen=True, kw_only=True)
class GroupRead(GroupReceipt):
    """A member read messages of the group."""

    type = "group_read"
    payload = GroupReadPayload

    read_at: datetime


@dataclass(frozen=True, kw_only=True)
class GroupDelivered(GroupReceipt):
    """A device of a member has messages of the group."""

    type = "group_delivered"
    payload = GroupDeliveredPayload

    delivered_at: datetime


@dataclass(frozen=True)
class GroupProgress:
    """What a user read of a group, or received, at one time: ranges of numbers, and the number up
    to which they have everything now."""

    ranges: Ranges
    up_to: int


Groups = Mapping[UUID, GroupProgress]


def messages_delivered(
    user_id: UUID,
    messages: Iterable[Message],
    silent: Collection[UUID],
    groups: Groups,
    at: datetime,
) -> None:
    """Publish what a device of the user has: to the sender of each direct message, except the
    `silent` ones, and to each group."""
    publish(
        *(
            MessagesDelivered(to=[sender], delivered_to=user_id, message_ids=ids, delivered_at=at)
            for sender, ids in _by_sender(messages).items()
            if sender not in silent
        ),
        *_to_groups(GroupDelivered, user_id, groups, delivered_at=at),
    )


def messages_read(
    user_id: UUID,
    messages: Iterable[Message],
    silent: Collection[UUID],
    groups: Groups,
    at: datetime,
) -> None:
    """Publish what the user has read: to the sender of each direct message, except the `silent`
    ones, and the user's other devices, and to each group."""
    publish(
        *(
            MessagesRead(
                to=[user_id] if sender in silent else [sender, user_id],
                read_by=user_id,
                message_ids=ids,
                read_at=at,
            )
            for sender, ids in _by_sender(messages).items()
        ),
        *_to_groups(GroupRead, user_id, groups, read_at=at),
    )


def _to_groups(
    kind: type[GroupReceipt], user_id: UUID, groups: Groups, **at: Any
) -> Iterator[Event]:
    for group, progress in groups.items():
        yield kind(
            to=[group],
            conversation_id=group,
            user_id=user_id,
            ranges=progress.ranges,
            up_to=progress.up_to,
            **at,
        )


def _by_sender(messages: Iterable[Message]) -> dict[UUID, list[UUID]]:
    ids: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for message in messages:
        ids[message.sender_id].append(message.pk)
    return ids
