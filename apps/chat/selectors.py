"""What users may read of the chat."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from apps.accounts.models import User
from apps.accounts.selectors import user_get
from apps.chat.errors import ConversationNotFound
from apps.chat.models import Conversation, Membership, Message
from apps.chat.queries import with_list_columns, with_status, with_unread
from apps.realtime.presence import Seen, presence_of

# Members of a larger group do not see who is online: each arrival would be a signal to all of them,
# and all users arrive when a server restarts.
PRESENCE_MEMBERS = 50


def messages_with(user: User, peer_id: UUID) -> QuerySet[Message]:
    """Return the messages with a user, the newest first.

    Raises UserNotFound without a conversation, if the user is unknown or not active.
    """
    direct = Conversation.objects.between(user.pk, peer_id)
    conversation = direct.select_related("first", "second").first()
    if conversation is None:
        user_get(peer_id)
        return Message.objects.none().order_by("-seq")
    return _shown(conversation).order_by("-seq")


def messages_in(user: User, conversation_id: UUID) -> QuerySet[Message]:
    """Return the messages of a conversation since the user joined it, the newest first; raise
    ConversationNotFound."""
    membership = membership_get(user.pk, conversation_id)
    return _shown(membership.conversation).filter(seq__gt=membership.joined_seq).order_by("-seq")


def _shown(conversation: Conversation) -> QuerySet[Message]:
    """Return the messages of the conversation, each with this object as its conversation: a join
    for each would take longer than reading the messages."""
    messages = conversation.messages.filter(deleted_at=None)
    return with_status(messages).select_related("sender")


def membership_get(user_id: UUID, conversation_id: UUID) -> Membership:
    """Return the user's membership of a conversation; raise ConversationNotFound."""
    own = Membership.objects.filter(user=user_id, conversation=conversation_id)
    membership = own.select_related("conversation__first", "conversation__second").first()
    if membership is None:
        raise ConversationNotFound
    return membership


def direct_memberships(user: User) -> QuerySet[Membership]:
    """Return the user's direct conversations that have a message, the latest first."""
    listed = Membership.objects.filter(user=user, last_message_at__isnull=False)
    return (
        with_list_columns(listed)
        .select_related("conversation__first", "conversation__second")
        .order_by("-last_message_at", "-id")
    )


def group_memberships(user: User) -> QuerySet[Membership]:
    """Return the user's groups, the latest first.

    The time of the last message is in the row of a group, since each message would otherwise write
    the rows of all members. So the database sorts all groups of the user.
    """
    own = Membership.objects.filter(user=user, incoming_seq=None)
    return (
        with_list_columns(own)
        .select_related("conversation")
        .order_by("-conversation__last_message_at", "-id")
    )


def memberships_latest(
    user: User, *, limit: int, before: tuple[datetime, UUID] | None = None
) -> list[Membership]:
    """Return the user's conversations of both kinds, the latest first. `before` is a position,
    after which they begin: the time of a conversation's last message, and the id of the
    membership."""
    found: list[Membership] = []
    for memberships, at in (
        (direct_memberships(user), "last_message_at"),
        (group_memberships(user), "conversation__last_message_at"),
    ):
        if before is not None:
            memberships = memberships.filter(
                Q(**{f"{at}__lt": before[0]}) | Q(**{at: before[0]}, id__lt=before[1]),
                **{f"{at}__lte": before[0]},
            )
        found += memberships[:limit]
    found.sort(key=lambda one: (one.conversation.last_message_at, one.pk), reverse=True)
    return found[:limit]


@dataclass(frozen=True)
class ConversationSummary:
    """A direct conversation as one of its two users sees it."""

    membership: Membership
    peer: User
    last_message: Message
    seen: Seen


def conversations_shown(user: User, memberships: Sequence[Membership]) -> list[ConversationSummary]:
    """Return direct conversations with their last messages and the presence of the other user."""
    pairs = [(one, one.conversation.other(user.pk)) for one in memberships]
    newest = [one.newest_id for one in memberships if one.newest_id]
    messages = with_status(Message.objects.filter(pk__in=newest)).in_bulk()
    seen = presence_of(peer.pk for _, peer in pairs if peer)
    shown = []
    for membership, peer in pairs:
        message = messages.get(membership.newest_id)
        # An account may be deleted between the two queries, with its messages.
        if peer and message:
            message.conversation = membership.conversation
            message.sender = user if message.sender_id == user.pk else peer
            shown.append(ConversationSummary(membership, peer, message, seen[peer.pk]))
    return shown


def unread_counts(user: User) -> dict[str, int]:
    """Return the number of unread messages, and of the conversations that have some."""
    return memberships_with_unread(user).aggregate(
        total=Coalesce(Sum("unread"), 0), conversations=Count("pk", filter=Q(unread__gt=0))
    )


def memberships_with_unread(user: User) -> QuerySet[Membership]:
    """Return the user's memberships that may have unread messages, with the number of these."""
    own = Membership.objects.filter(user=user, conversation__last_seq__gt=F("read_seq"))
    # This is the condition of the index membership_unread, so that the database uses it.
    return with_unread(own.filter(Q(incoming_seq=None) | Q(incoming_seq__gt=F("read_seq"))))


def group_readers(group_id: UUID, users: Collection[UUID]) -> dict[UUID, int]:
    """Return the users who are members of a group, with the last event before each joined."""
    members = Membership.objects.filter(conversation=group_id, user__in=users, incoming_seq=None)
    return dict(members.values_list("user", "joined_event"))


def groups_standing(users: Collection[UUID]) -> Iterable[tuple[UUID, UUID, int]]:
    """Return the group memberships of users: user, group, and the last event before they joined."""
    memberships = Membership.objects.filter(user__in=users, incoming_seq=None)
    return memberships.values_list("user", "conversation", "joined_event")


def peers_of(user_id: UUID, among: Collection[UUID] | None = None) -> Iterable[UUID]:
    """Return the users with whom a user has a direct conversation or a small group: all, or those
    of `among`."""
    direct = Conversation.objects.order_by()
    groups = Membership.objects.filter(
        user=user_id, incoming_seq=None, conversation__member_count__lte=PRESENCE_MEMBERS
    )
    members = Membership.objects.filter(conversation__in=groups.values("conversation"))
    first, second = direct.filter(first=user_id), direct.filter(second=user_id)
    if among is not None:
        first, second = first.filter(second__in=among), second.filter(first__in=among)
        members = members.filter(user__in=among)
    return first.values_list("second", flat=True).union(
        second.values_list("first", flat=True), members.values_list("user", flat=True)
    )


def are_peers(user_id: UUID, other_id: UUID) -> bool:
    """Return whether two users have a direct conversation."""
    return Conversation.objects.between(user_id, other_id).exists()
