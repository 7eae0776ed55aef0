"""The events of a group: one on its stream for each change, however many members it has."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.chat.events import CONVERSATION, CONVERSATION_ROOM, GroupEvent
from apps.chat.group_payloads import (
    GroupCreatedPayload,
    GroupDeletedPayload,
    GroupRenamedPayload,
    MemberLeftPayload,
    MembersJoinedPayload,
    RolesChangedPayload,
)
from apps.chat.models import Conversation, Membership
from apps.realtime.event_log import publish
from apps.realtime.rooms import room_hidden
from apps.realtime.stream_access import access_granted, access_revoked


@dataclass(frozen=True, kw_only=True)
class GroupCreated(GroupEvent):
    """A group was created, and you are a member."""

    type = "group_created"
    payload = GroupCreatedPayload

    title: str
    owner_id: UUID
    member_ids: Sequence[UUID]


@dataclass(frozen=True, kw_only=True)
class MembersJoined(GroupEvent):
    """Users joined the group; you may be one of them."""

    type = "members_joined"
    payload = MembersJoinedPayload

    user_ids: Sequence[UUID]
    joined_seq: int
    by: UUID


@dataclass(frozen=True, kw_only=True)
class MemberLeft(GroupEvent):
    """A member left the group, or was removed."""

    type = "member_left"
    payload = MemberLeftPayload

    user_id: UUID
    by: UUID


@dataclass(frozen=True, kw_only=True)
class RolesChanged(GroupEvent):
    """The roles of members have changed."""

    type = "roles_changed"
    payload = RolesChangedPayload

    roles: Sequence[Mapping[str, str]]
    by: UUID


@dataclass(frozen=True, kw_only=True)
class GroupRenamed(GroupEvent):
    """The title of the group has changed."""

    type = "group_renamed"
    payload = GroupRenamedPayload

    title: str
    by: UUID


@dataclass(frozen=True, kw_only=True)
class GroupDeleted(GroupEvent):
    """The group was deleted, for all members. Its stream has no further events."""

    type = "group_deleted"
    payload = GroupDeletedPayload

    by: UUID


def group_created(group: Conversation, owner_id: UUID, member_ids: Sequence[UUID]) -> None:
    """Publish the new group to its members, and subscribe them to it."""
    _publish(group, GroupCreated, title=group.title, owner_id=owner_id, member_ids=member_ids)
    access_granted(CONVERSATION.name(group.pk), [owner_id, *member_ids])


def members_joined(group: Conversation, user_ids: Sequence[UUID], by: UUID) -> None:
    """Publish who joined to all members, and subscribe those who joined."""
    _publish(group, MembersJoined, user_ids=user_ids, joined_seq=group.last_seq, by=by)
    access_granted(CONVERSATION.name(group.pk), user_ids)


def member_left(group: Conversation, user_id: UUID, by: UUID) -> None:
    """Publish who left to all members, and end their subscription after that event."""
    _publish(group, MemberLeft, user_id=user_id, by=by)
    _hide(group, [user_id])


def roles_changed(group: Conversation, memberships: Sequence[Membership], by: UUID) -> None:
    """Publish the changed roles."""
    roles = [{"userId": str(one.user_id), "role": one.role} for one in memberships]
    _publish(group, RolesChanged, roles=roles, by=by)


def group_renamed(group: Conversation, by: UUID) -> None:
    """Publish the new title."""
    _publish(group, GroupRenamed, title=group.title, by=by)


def group_deleted(group: Conversation, user_ids: Collection[UUID], by: UUID) -> None:
    """Publish the deletion to all former members, and end their subscriptions after that event."""
    _publish(group, GroupDeleted, by=by)
    _hide(group, user_ids)


def _hide(group: Conversation, former: Collection[UUID]) -> None:
    access_revoked(CONVERSATION.name(group.pk), former)
    room_hidden(CONVERSATION_ROOM.name(group.pk))


def _publish(group: Conversation, event: type[GroupEvent], **data: Any) -> None:
    publish(event(to=[group.pk], conversation_id=group.pk, **data))
