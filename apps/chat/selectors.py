"""Reads of the chat."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, QuerySet

from apps.accounts.models import User
from apps.accounts.selectors import user_get
from apps.chat.models import Membership, Message, pair_of
from apps.realtime.presence import Seen, presence_of


def messages_with(user: User, peer_id: UUID) -> QuerySet[Message]:
    """Return the conversation with a person, the newest first.

    Raises UserNotFound for who is not there, or was shut out before anything was said.
    """
    if not are_peers(user.pk, peer_id):
        user_get(peer_id)
    return (
        Message.objects.filter(conversation__pair=pair_of(user.pk, peer_id), deleted_at=None)
        .select_related("sender", "receiver")
        .order_by("-seq")
    )


def memberships_of(user: User) -> QuerySet[Membership]:
    """Return the person's conversations that have a message, the latest first."""
    return (
        Membership.objects.filter(user=user, last_message__isnull=False)
        .select_related("peer", "last_message__sender", "last_message__receiver")
        .order_by("-last_message_at", "-id")
    )


@dataclass(frozen=True)
class ConversationView:
    """A conversation as one of its people sees it."""

    membership: Membership
    unread: int
    seen: Seen


def conversations_shown(user: User, memberships: Sequence[Membership]) -> list[ConversationView]:
    """Return the conversations with what is unread in them and whether the other is online."""
    unread = dict(
        _unread_of(user)
        .filter(conversation__in=[one.conversation_id for one in memberships])
        .values_list("conversation")
        .annotate(Count("pk"))
    )
    seen = presence_of(one.peer_id for one in memberships)
    return [
        ConversationView(one, unread.get(one.conversation_id, 0), seen[one.peer_id])
        for one in memberships
    ]


def unread_counts(user: User) -> dict[str, int]:
    """Return how many messages are unread, and in how many conversations."""
    return _unread_of(user).aggregate(
        total=Count("pk"), conversations=Count("conversation", distinct=True)
    )


def peers_of(user_id: UUID, among: Collection[UUID] | None = None) -> Iterable[UUID]:
    """Return the people with whom somebody has a conversation: all, or those among some."""
    memberships = Membership.objects.filter(user=user_id)
    if among is not None:
        memberships = memberships.filter(peer__in=among)
    return memberships.values_list("peer", flat=True)


def are_peers(user_id: UUID, other_id: UUID) -> bool:
    """Return whether two people have a conversation."""
    return Membership.objects.filter(user=user_id, peer=other_id).exists()


def _unread_of(user: User) -> QuerySet[Message]:
    return Message.objects.filter(receiver=user, read_at=None, deleted_at=None)
