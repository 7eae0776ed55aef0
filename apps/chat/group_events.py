"""What is announced of a group: one event on its stream, however many its members are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.chat.events import CONVERSATION, GroupEvent
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
from apps.realtime.stream_access import access_granted, access_revoked


@dataclass(frozen=True, kw_only=True)
class GroupCreated(GroupEvent):
    """Somebody made a group that you are in."""

    type = "group_created"
    payload = GroupCreatedPayload

    title: str
    owner_id: UUID
    member_ids: Sequence[UUID]


@dataclass(frozen=True, kw_only=True)
class MembersJoined(GroupEvent):
    """Somebody added users to the group; you may be one of them."""

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
    """Members of the group have other roles."""

    type = "roles_changed"
    payload = RolesChangedPayload

    roles: Sequence[Mapping[str, str]]
    by: UUID


@dataclass(frozen=True, kw_only=True)
class GroupRenamed(GroupEvent):
    """The group has another title."""

    type = "group_renamed"
    payload = GroupRenamedPayload

    title: str
    by: UUID


@dataclass(frozen=True, kw_only=True)
class GroupDeleted(GroupEvent):
    """The group is gone, for all. Nothing follows on its stream."""

    type = "group_deleted"
    payload = GroupDeletedPayload

    by: UUID


def group_created(group: Conversation, owner_id: UUID, member_ids: Sequence[UUID]) -> None:
    """Tell all that the group is there, and that they belong to it."""
    _tell(group, GroupCreated, title=group.title, owner_id=owner_id, member_ids=member_ids)
    access_granted(CONVERSATION.name(group.pk), [owner_id, *member_ids])


def members_joined(group: Conversation, user_ids: Sequence[UUID], by: UUID) -> None:
    """Tell all of those who joined, and these that they belong to the group."""
    _tell(group, MembersJoined, user_ids=user_ids, joined_seq=group.last_seq, by=by)
    access_granted(CONVERSATION.name(group.pk), user_ids)


def member_left(group: Conversation, user_id: UUID, by: UUID) -> None:
    """Tell all, for the last time also the one who is gone."""
    _tell(group, MemberLeft, user_id=user_id, by=by)
    access_revoked(CONVERSATION.name(group.pk), [user_id])


def roles_changed(group: Conversation, memberships: Sequence[Membership], by: UUID) -> None:
    """Tell all who has which role now."""
    roles = [{"userId": str(one.user_id), "role": one.role} for one in memberships]
    _tell(group, RolesChanged, roles=roles, by=by)


def group_renamed(group: Conversation, by: UUID) -> None:
    """Tell all the new title."""
    _tell(group, GroupRenamed, title=group.title, by=by)


def group_deleted(group: Conversation, user_ids: Collection[UUID], by: UUID) -> None:
    """Tell all who belonged to the group, for the last time."""
    _tell(group, GroupDeleted, by=by)
    access_revoked(CONVERSATION.name(group.pk), user_ids)


def _tell(group: Conversation, kind: type[GroupEvent], **said: Any) -> None:
    publish(kind(to=[group.pk], conversation_id=group.pk, **said))
