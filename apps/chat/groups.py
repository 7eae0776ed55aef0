"""Groups: their members, roles and titles.

Each change takes the lock of the conversation, so that it happens before a message or after it,
never at the same time. It writes the membership rows that change, and one event. Lock order: see
services.py.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from apps.accounts.blocks import blocked_among
from apps.accounts.models import User
from apps.chat import group_events as events
from apps.chat.errors import (
    ConversationNotFound,
    GroupFull,
    MayNotAddSome,
    MemberNotFound,
    NotGroupOwner,
    NotYourGroupToManage,
    NotYoursToRemove,
    OwnerMustStay,
    TooManyGroups,
    UnknownUsers,
)
from apps.chat.events import CONVERSATION
from apps.chat.models import Conversation, Membership
from apps.chat.policies import is_owner, may_manage, may_remove
from apps.core.errors import require
from apps.realtime.event_log import heads

Role = Membership.Role

MOST_MEMBERS = 500
# How many groups a user may be in: their sockets are subscribed to each, and receive its head with
# every heartbeat. Two members who add the same user at once may exceed it by one.
MOST_GROUPS = 500


@transaction.atomic
def group_create(actor: User, *, title: str, member_ids: Sequence[UUID]) -> Conversation:
    """Create a group of the actor, who owns it, and other users, and return it; raise UnknownUsers,
    MayNotAddSome, GroupFull or TooManyGroups."""
    others = [user for user in dict.fromkeys(member_ids) if user != actor.pk]
    _require_users(others, field="memberIds")
    require(not blocked_among(actor.pk, others), MayNotAddSome)
    require(len(others) < MOST_MEMBERS, GroupFull)
    _require_room([actor.pk, *others])
    group = Conversation.objects.create(
        kind=Conversation.Kind.GROUP, title=title, member_count=len(others) + 1
    )
    owner = Membership(conversation=group, user=actor, role=Role.OWNER)
    members = [Membership(conversation=group, user_id=user) for user in others]
    Membership.objects.bulk_create([owner, *members])
    events.group_created(group, actor.pk, others)
    return group


@transaction.atomic
def members_add(actor: User, *, conversation_id: UUID, user_ids: Sequence[UUID]) -> list[UUID]:
    """Add users to a group and return those who were not members yet; raise ConversationNotFound,
    NotYourGroupToManage, UnknownUsers, MayNotAddSome, GroupFull or TooManyGroups."""
    group, own = _locked(actor, conversation_id)
    require(may_manage(own), NotYourGroupToManage)
    present = set(group.memberships.filter(user__in=user_ids).values_list("user", flat=True))
    joining = [user for user in dict.fromkeys(user_ids) if user not in present]
    _require_users(user_ids, field="userIds", members=present)
    if not joining:
        return []
    require(not blocked_among(actor.pk, joining), MayNotAddSome)
    require(group.memberships.count() + len(joining) <= MOST_MEMBERS, GroupFull)
    _require_room(joining)
    # They may read the messages and events from here on. Receipts do not lock the conversation, so
    # an event of one that is published at this moment may be among these.
    stream = CONVERSATION.name(group.pk)
    last_event, _ = heads([stream])[stream]
    Membership.objects.bulk_create(
        Membership(
            conversation=group,
            user_id=user,
            joined_seq=group.last_seq,
            joined_event=last_event,
            read_seq=group.last_seq,
            delivered_seq=group.last_seq,
        )
        for user in joining
    )
    _count_members(group)
    events.members_joined(group, joining, actor.pk)
    return joining


@transaction.atomic
def member_remove(actor: User, *, conversation_id: UUID, user_id: UUID) -> None:
    """Remove a member of a group, or leave it as that member; raise ConversationNotFound,
    MemberNotFound, NotYoursToRemove or OwnerMustStay."""
    group, own = _locked(actor, conversation_id)
    leaving = own if user_id == actor.pk else _member(group, user_id)
    require(may_remove(own, leaving), NotYoursToRemove)
    require(leaving.role != Role.OWNER, OwnerMustStay)
    leaving.delete()
    _count_members(group)
    events.member_left(group, user_id, actor.pk)


@transaction.atomic
def member_set_role(actor: User, *, conversation_id: UUID, user_id: UUID, role: str) -> None:
    """Give a member of a group a role; raise ConversationNotFound, NotGroupOwner,
    MemberNotFound or OwnerMustStay. An owner who makes another member the owner becomes an
    admin."""
    group, own = _locked(actor, conversation_id)
    require(is_owner(own), NotGroupOwner)
    member = own if user_id == actor.pk else _member(group, user_id)
    if member.role == role:
        return
    require(member.pk != own.pk, OwnerMustStay)
    changed = [member]
    if role == Role.OWNER:
        # Saved first, since the database allows one owner of a group.
        own.role = Role.ADMIN
        own.save(update_fields=["role"])
        changed.append(own)
    member.role = role
    member.save(update_fields=["role"])
    events.roles_changed(group, changed, actor.pk)


@transaction.atomic
def group_rename(actor: User, *, conversation_id: UUID, title: str) -> Conversation:
    """Give a group another title and return it; raise ConversationNotFound or
    NotYourGroupToManage."""
    group, own = _locked(actor, conversation_id)
    require(may_manage(own), NotYourGroupToManage)
    if group.title != title:
        group.title = title
        group.save(update_fields=["title"])
        events.group_renamed(group, actor.pk)
    return group


@transaction.atomic
def group_delete(actor: User, *, conversation_id: UUID) -> None:
    """Delete a group, for all members; raise ConversationNotFound or NotGroupOwner.

    All members leave it, so that no user can read it or its log any more. Its messages stay in
    their rows, as deleted messages do.
    """
    group, own = _locked(actor, conversation_id)
    require(is_owner(own), NotGroupOwner)
    members = list(group.memberships.values_list("user", flat=True))
    group.memberships.all().delete()
    _count_members(group)
    events.group_deleted(group, members, actor.pk)


def _locked(actor: User, conversation_id: UUID) -> tuple[Conversation, Membership]:
    """Return a group, under its lock, and the actor's membership of it; raise
    ConversationNotFound."""
    group = Conversation.objects.locked([conversation_id]).filter(kind="group").first()
    own = Membership.objects.filter(conversation=group, user=actor).first() if group else None
    if group is None or own is None:
        raise ConversationNotFound
    return group, own


def _member(group: Conversation, user_id: UUID) -> Membership:
    member = Membership.objects.filter(conversation=group, user=user_id).first()
    if member is None:
        raise MemberNotFound
    return member


def _require_users(users: Sequence[UUID], *, field: str, members: Collection[UUID] = ()) -> None:
    """Raise UnknownUsers unless the users are active or members already."""
    active = User.objects.filter(pk__in=users, status=User.Status.ACTIVE)
    known = {*active.values_list("pk", flat=True), *members}
    if not known.issuperset(users):
        raise UnknownUsers.among(field, users, known)


def _require_room(users: Sequence[UUID]) -> None:
    groups = Membership.objects.filter(user__in=users, incoming_seq=None).order_by()
    full = groups.values("user").annotate(count=Count("pk")).filter(count__gte=MOST_GROUPS)
    require(not full.exists(), TooManyGroups)


def _count_members(group: Conversation) -> None:
    group.member_count = group.memberships.count()
    group.save(update_fields=["member_count"])
