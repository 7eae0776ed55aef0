"""What is announced of a group: one event on its stream, however many its members are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.chat.events import CONVERSATION
from apps.chat.group_payloads import (
    GroupCreatedPayload,
    GroupDeletedPayload,
    GroupRenamedPayload,
    MemberLeftPayload,
    MembersJoinedPayload,
    RolesChangedPayload,
)
from apps.chat.models import Conversation, Membership
from apps.realtime.log import publish
from apps.realtime.server_frames import Event
from apps.realtime.stream_access import access_granted, access_revoked


@dataclass(frozen=True, kw_only=True)
class GroupCreated(Event):
    """Somebody made a group that you are in."""

    type = "group_created"
    stream = CONVERSATION
    payload = GroupCreatedPayload

    conversation_id: UUID
    title: str
    owner_id: UUID
    member_ids: Sequence[UUID]


@dataclass(frozen=True, kw_only=True)
class MembersJoined(Event):
    """Somebody added users to the group; you may be one of them."""

    type = "members_joined"
    stream = CONVERSATION
    payload = MembersJoinedPayload

    conversation_id: UUID
    user_ids: Sequence[UUID]
    joined_seq: int
    by: UUID


@dataclass(frozen=True, kw_only=True)
class MemberLeft(Event):
    """A member left the group, or was removed."""

    type = "member_left"
    stream = CONVERSATION
    payload = MemberLeftPayload

    conversation_id: UUID
    user_id: UUID
    by: UUID


@dataclass(frozen=True, kw_only=True)
class RolesChanged(Event):
    """Members of the group have other roles."""

    type = "roles_changed"
    stream = CONVERSATION
    payload = RolesChangedPayload

    conversation_id: UUID
    roles: Sequence[Mapping[str, str]]
    by: UUID


@dataclass(frozen=True, kw_only=True)
class GroupRenamed(Event):
    """The group has another title."""

    type = "group_renamed"
    stream = CONVERSATION
    payload = GroupRenamedPayload

    conversation_id: UUID
    title: str
    by: UUID


@dataclass(frozen=True, kw_only=True)
class GroupDeleted(Event):
    """The group is gone, for all. Nothing follows on its stream."""

    type = "group_deleted"
    stream = CONVERSATION
    payload = GroupDeletedPayload

    conversation_id: UUID
    by: UUID


def group_created(group: Conversation, owner_id: UUID, member_ids: Sequence[UUID]) -> None:
    """Tell all that the group is there, and that they belong to it."""
    publish(
        GroupCreated(
            to=[group.pk],
            conversation_id=group.pk,
            title=group.title,
            owner_id=owner_id,
            member_ids=member_ids,
        )
    )
    access_granted(CONVERSATION.name(group.pk), [owner_id, *member_ids])


def members_joined(group: Conversation, user_ids: Sequence[UUID], by: UUID) -> None:
    """Tell all of those who joined, and these that they belong to the group."""
    publish(
        MembersJoined(
            to=[group.pk],
            conversation_id=group.pk,
            user_ids=user_ids,
            joined_seq=group.last_seq,
            by=by,
        )
    )
    access_granted(CONVERSATION.name(group.pk), user_ids)


def member_left(group: Conversation, user_id: UUID, by: UUID) -> None:
    """Tell all, for the last time also the one who is gone."""
    publish(MemberLeft(to=[group.pk], conversation_id=group.pk, user_id=user_id, by=by))
    access_revoked(CONVERSATION.name(group.pk), [user_id])


def roles_changed(group: Conversation, memberships: Sequence[Membership], by: UUID) -> None:
    """Tell all who has which role now."""
    roles = [{"userId": str(one.user_id), "role": one.role} for one in memberships]
    publish(RolesChanged(to=[group.pk], conversation_id=group.pk, roles=roles, by=by))


def group_renamed(group: Conversation, by: UUID) -> None:
    """Tell all the new title."""
    publish(GroupRenamed(to=[group.pk], conversation_id=group.pk, title=group.title, by=by))


def group_deleted(group: Conversation, user_ids: Collection[UUID], by: UUID) -> None:
    """Tell all who belonged to the group, for the last time."""
    publish(GroupDeleted(to=[group.pk], conversation_id=group.pk, by=by))
    access_revoked(CONVERSATION.name(group.pk), user_ids)
