"""What the chat keeps of a user, and how it forgets them.

Conversations belong to others too. So these stay as they are, with a user without data in the place
of the one who is erased, and messages of this one are deleted, without their words.

Lock order: see services.py.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.accounts.models import User
from apps.chat.groups import group_delete, member_remove, member_set_role
from apps.chat.models import (
    Conversation,
    DeliveryCursor,
    Membership,
    Message,
    Receipt,
    pair_of,
)
from apps.chat.queries import visible_to
from apps.core.features import PersonalData

ERASED_AT_ONCE = 1_000
MESSAGE = ("id", "conversation_id", "seq", "sender_id", "type", "content", "created_at")
Rows = Iterable[Mapping[str, Any]]


def _conversations(user_id: UUID) -> Rows:
    memberships = Membership.objects.filter(user=user_id).order_by("pk")
    return memberships.values(
        "conversation_id",
        "role",
        "read_seq",
        "delivered_seq",
        kind=F("conversation__kind"),
        title=F("conversation__title"),
        first_id=F("conversation__first"),
        second_id=F("conversation__second"),
    )


def _sent(user_id: UUID) -> Rows:
    messages = Message.objects.filter(sender=user_id).order_by("pk")
    found: Rows = messages.values(*MESSAGE, "client_id", "edited_at", "deleted_at")
    return found


def _received(user_id: UUID) -> Rows:
    messages = visible_to(user_id).exclude(sender=user_id).order_by("pk")
    found: Rows = messages.values(*MESSAGE)
    return found


def _receipts(user_id: UUID) -> Rows:
    receipts = Receipt.objects.filter(user=user_id).order_by("pk")
    return receipts.values("conversation_id", "kind", "first_seq", "last_seq", "at")


def _erase(user_id: UUID, successor_id: UUID) -> Mapping[str, int]:
    user = User.objects.get(pk=user_id)
    groups = Membership.objects.filter(user=user_id, incoming_seq=None)
    left = [_leave(user, one.conversation_id) for one in groups.order_by("conversation")]
    written = Message.objects.filter(sender=user_id)
    messages = 0
    while part := list(written[:ERASED_AT_ONCE]):
        messages += _erase_messages(part, successor_id)
    direct = Conversation.objects.filter(Q(first=user_id) | Q(second=user_id))
    ids = list(direct.values_list("pk", flat=True))
    for one in ids:
        _replace_in(one, user_id, successor_id)
    DeliveryCursor.objects.filter(user=user_id).delete()
    receipts, _ = Receipt.objects.filter(user=user_id).delete()
    return {
        "messages": messages,
        "memberships of groups": len(left),
        "conversations, kept for the other user": len(ids),
        "receipts": receipts,
    }


@transaction.atomic
def _leave(user: User, group_id: UUID) -> None:
    """Leave a group. What an owner leaves goes to the admin, or else the member, of the longest
    time; a group without another member is deleted."""
    list(Conversation.objects.locked([group_id]))
    own = Membership.objects.filter(conversation=group_id, user=user).first()
    if own is None:
        # An admin of the group has removed them meanwhile.
        return
    if own.role == Membership.Role.OWNER:
        others = Membership.objects.filter(conversation=group_id).exclude(user=user)
        # "admin" is before "member".
        heir = others.order_by("role", "pk").first()
        if heir is None:
            group_delete(user, conversation_id=group_id)
            return
        member_set_role(
            user, conversation_id=group_id, user_id=heir.user_id, role=Membership.Role.OWNER
        )
    member_remove(user, conversation_id=group_id, user_id=user.pk)


@transaction.atomic
def _erase_messages(messages: list[Message], successor_id: UUID) -> int:
    conversations = {one.conversation_id for one in messages}
    locked = list(Conversation.objects.locked(conversations))
    now = timezone.now()
    Message.objects.filter(pk__in=[one.pk for one in messages]).update(
        sender=successor_id,
        content="",
        client_id=None,
        deleted_at=Coalesce(F("deleted_at"), Value(now)),
    )
    for conversation in locked:
        _order(conversation)
    return len(messages)


def _order(conversation: Conversation) -> None:
    """Put a locked conversation where its newest message that is left belongs in lists."""
    last = conversation.messages.filter(deleted_at=None).order_by("-seq").first()
    if last is not None:
        conversation.last_message_at = last.created_at
        conversation.save(update_fields=["last_message_at"])
    memberships = Membership.objects.of_direct(conversation)
    memberships.update(last_message_at=last and last.created_at)


@transaction.atomic
def _replace_in(conversation_id: UUID, user_id: UUID, successor_id: UUID) -> None:
    [conversation] = Conversation.objects.locked([conversation_id])
    other = conversation.other_id(user_id)
    if other is None:
        raise LookupError(f"{conversation_id} is not a direct conversation.")
    first, second = pair_of(other, successor_id)
    Conversation.objects.filter(pk=conversation_id).update(first=first, second=second)
    memberships = Membership.objects.filter(conversation=conversation_id, user=user_id)
    memberships.update(user=successor_id)


PERSONAL_DATA = PersonalData(
    fields={
        "chat.Conversation.first",
        "chat.Conversation.second",
        "chat.DeliveryCursor.user",
        "chat.Membership.user",
        "chat.Message.sender",
        "chat.Receipt.user",
    },
    exports={
        "conversations": _conversations,
        "messages_sent": _sent,
        "messages_received": _received,
        "receipts": _receipts,
    },
    erase=_erase,
)
