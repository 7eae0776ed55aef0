"""What users may read of the chat."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Expression, F, Q, QuerySet, UUIDField

from apps.accounts.blocks import blocked_among
from apps.accounts.models import User
from apps.accounts.selectors import user_get
from apps.chat.errors import ConversationNotFound
from apps.chat.models import Conversation, Membership, Message, pair_of
from apps.chat.queries import with_list_columns, with_status, with_unread
from apps.core.db.prepared import Hole, OneOf, Prepared
from apps.realtime.presence import UNSEEN, Seen, presence_of

# Members of a larger group do not see who is online: each arrival would be a signal to all of them,
# and all users arrive when a server restarts.
PRESENCE_MEMBERS = 50


_DIRECT = Prepared(
    lambda: Conversation.objects.filter(
        first=Hole("first", UUIDField()), second=Hole("second", UUIDField())
    ).select_related("first", "second")
)
_MEMBERSHIP = Prepared(
    lambda: Membership.objects.filter(
        user=Hole("user", UUIDField()), conversation=Hole("conversation", UUIDField())
    ).select_related("conversation__first", "conversation__second")
)
_MESSAGES = Prepared(
    lambda: with_status(Message.objects.filter(OneOf("pk", "ids", UUIDField()), deleted_at=None))
)
_STANDING = Prepared(
    lambda: Membership.objects.filter(
        OneOf("user", "users", UUIDField()), incoming_seq=None
    ).values_list("user", "conversation", "joined_event")
)


def _peers(model: type[Any], own: str, other: str, among: bool, **which: Any) -> Prepared[Any]:
    """Return the selector of the pairs of a user and another in those rows of a model."""

    def pairs() -> QuerySet[Any]:
        # One call, so that all conditions are about the same membership.
        found = model.objects.order_by().filter(OneOf(own, "users", UUIDField()), **which)
        if among:
            found = found.filter(OneOf(other, "among", UUIDField()))
        rows: QuerySet[Any] = found.values_list(own, other)
        return rows

    return Prepared(pairs)


def _all_peers(*, among: bool) -> Sequence[Prepared[Any]]:
    return [
        _peers(Conversation, "first", "second", among),
        _peers(Conversation, "second", "first", among),
        _peers(
            Membership,
            "conversation__memberships__user",
            "user",
            among,
            conversation__memberships__incoming_seq=None,
            conversation__member_count__lte=PRESENCE_MEMBERS,
        ),
    ]


_PEERS, _PEERS_AMONG = _all_peers(among=False), _all_peers(among=True)
_USERS = Prepared(lambda: User.objects.filter(OneOf("pk", "ids", UUIDField())))


def messages_with(user: User, peer_id: UUID) -> QuerySet[Message]:
    """Return the messages with a user, the newest first, for messages_shown().

    Raises UserNotFound without a conversation, if the user is unknown or not active.
    """
    first, second = pair_of(user.pk, peer_id)
    conversation = _DIRECT.first(first=first, second=second)
    if conversation is None:
        user_get(peer_id)
        return Message.objects.none().order_by("-seq")
    return _listed(conversation)


def messages_in(user: User, conversation_id: UUID) -> QuerySet[Message]:
    """Return the messages of a conversation since the user joined it, the newest first, for
    messages_shown(); raise ConversationNotFound."""
    membership = membership_get(user.pk, conversation_id)
    return _listed(membership.conversation).filter(seq__gt=membership.joined_seq)


def _listed(conversation: Conversation) -> QuerySet[Message]:
    """Return the messages of the conversation, each with this object as its conversation. Only what
    orders them is read."""
    messages = conversation.messages.filter(deleted_at=None)
    return messages.only("id", "seq", "conversation").order_by("-seq")


def messages_shown(messages: Iterable[Message]) -> list[Message]:
    """Return the messages of a list as they are shown, in the same order."""
    conversations = {one.pk: one.conversation for one in messages}
    found = {message.pk: message for message in _messages_of(conversations)}
    return [found[one.pk] for one in messages if one.pk in found]


def _messages_of(conversations: Mapping[UUID, Conversation]) -> Iterator[Message]:
    """Return messages as they are shown, given the conversation of each by the message's id, except
    those that were deleted. A join with the users of each would take longer than reading the
    messages."""
    messages = _MESSAGES.all(ids=conversations)
    pairs = [(one.first, one.second) for one in conversations.values()]
    users = {user.pk: user for pair in pairs for user in pair if user}
    in_groups = {one.sender_id for one in messages} - users.keys()
    if in_groups:
        users |= {user.pk: user for user in _USERS.all(ids=in_groups)}
    for message in messages:
        if sender := users.get(message.sender_id):
            message.conversation, message.sender = conversations[message.pk], sender
            yield message


def membership_get(user_id: UUID, conversation_id: UUID) -> Membership:
    """Return the user's membership of a conversation; raise ConversationNotFound."""
    membership = _MEMBERSHIP.first(user=user_id, conversation=conversation_id)
    if membership is None:
        raise ConversationNotFound
    return membership


_MEMBERSHIPS = Prepared(
    lambda: with_list_columns(
        Membership.objects.filter(OneOf("pk", "ids", UUIDField()))
    ).select_related("conversation__first", "conversation__second")
)


def direct_memberships(user: User) -> QuerySet[Membership]:
    """Return the user's direct conversations that have a message, the latest first, for
    conversations_shown(). Only what orders them is read."""
    listed = Membership.objects.filter(user=user, last_message_at__isnull=False)
    return listed.only("id", "last_message_at").order_by("-last_message_at", "-id")


def group_memberships(user: User) -> QuerySet[Membership]:
    """Return the user's groups, the latest first, for memberships_shown().

    The time of the last message is in the row of a group, since each message would otherwise write
    the rows of all members. So the database sorts all groups of the user.
    """
    own = Membership.objects.filter(user=user, incoming_seq=None)
    return own.only("id").order_by("-conversation__last_message_at", "-id")


def memberships_latest(
    user: User, *, limit: int, before: tuple[datetime, UUID] | None = None
) -> list[Membership]:
    """Return the user's conversations of both kinds, the latest first. `before` is a position,
    after which they begin: the time of a conversation's last message, and the id of the
    membership."""
    found: list[tuple[datetime, UUID]] = []
    for memberships, at in (
        (direct_memberships(user), "last_message_at"),
        (group_memberships(user), "conversation__last_message_at"),
    ):
        if before is not None:
            memberships = memberships.filter(
                Q(**{f"{at}__lt": before[0]}) | Q(**{at: before[0]}, id__lt=before[1]),
                **{f"{at}__lte": before[0]},
            )
        found += memberships.values_list(at, "id")[:limit]
    found.sort(reverse=True)
    return memberships_shown([pk for _, pk in found[:limit]])


def memberships_shown(ids: Sequence[UUID]) -> list[Membership]:
    """Return memberships in the order of their ids, with the columns of a list."""
    found = {membership.pk: membership for membership in _MEMBERSHIPS.all(ids=ids)}
    return [found[pk] for pk in ids if pk in found]


@dataclass(frozen=True)
class ConversationSummary:
    """A direct conversation as one of its two users sees it."""

    membership: Membership
    peer: User
    last_message: Message
    seen: Seen


def conversations_shown(user: User, memberships: Sequence[Membership]) -> list[ConversationSummary]:
    """Return direct conversations with their last messages and the presence of the other user."""
    listed = memberships_shown([one.pk for one in memberships])
    pairs = [(one, one.conversation.other(user.pk)) for one in listed]
    newest = {one.newest_id: one.conversation for one in listed if one.newest_id}
    messages = {message.pk: message for message in _messages_of(newest)}
    peers = {peer.pk for _, peer in pairs if peer}
    hidden = blocked_among(user.pk, peers)
    seen = presence_of(peers - hidden) | dict.fromkeys(hidden, UNSEEN)
    shown = []
    for membership, peer in pairs:
        message = messages.get(membership.newest_id) if membership.newest_id else None
        # An account may be deleted between the queries, with its messages.
        if peer and message:
            shown.append(ConversationSummary(membership, peer, message, seen[peer.pk]))
    return shown


_UNREAD = Prepared(
    lambda: (
        # The column is an annotation, of which the type checker does not know here.
        memberships_with_unread(Hole("user", UUIDField())).values_list("unread")  # type: ignore[misc]
    )
)


def unread_counts(user: User) -> dict[str, int]:
    """Return the number of unread messages, and of the conversations that have some."""
    counts = [unread for (unread,) in _UNREAD.all(user=user.pk)]
    return {"total": sum(counts), "conversations": sum(count > 0 for count in counts)}


def memberships_with_unread(user: User | Expression) -> QuerySet[Membership]:
    """Return the user's memberships that may have unread messages, with the number of these."""
    own = Membership.objects.filter(user=user, conversation__last_seq__gt=F("read_seq"))
    # This is the condition of the index membership_unread, so that the database uses it.
    return with_unread(own.filter(Q(incoming_seq=None) | Q(incoming_seq__gt=F("read_seq"))))


def group_readers(group_id: UUID, users: Collection[UUID]) -> dict[UUID, int]:
    """Return the users who are members of a group, with the last event before each joined."""
    members = Membership.objects.filter(conversation=group_id, user__in=users, incoming_seq=None)
    return dict(members.values_list("user", "joined_event"))


def conversation_members(conversation_id: str, users: Collection[UUID]) -> Collection[UUID]:
    """Return those of the users who are members of a conversation."""
    members = Membership.objects.filter(conversation=UUID(conversation_id), user__in=users)
    return set(members.values_list("user", flat=True))


def groups_standing(users: Collection[UUID]) -> Iterable[tuple[UUID, UUID, int]]:
    """Return the group memberships of users: user, group, and the last event before they joined."""
    return _STANDING.all(users=users)


def peers_of(
    users: Collection[UUID], among: Collection[UUID] | None = None
) -> Iterable[tuple[UUID, UUID]]:
    """Return with whom each of the users has a direct conversation or a small group, as pairs of
    the user and the other: all, or those of `among`."""
    if among is None:
        return (pair for peers in _PEERS for pair in peers.all(users=users))
    return (pair for peers in _PEERS_AMONG for pair in peers.all(users=users, among=among))


def are_peers(user_id: UUID, other_id: UUID) -> bool:
    """Return whether two users have a direct conversation."""
    return Conversation.objects.between(user_id, other_id).exists()
