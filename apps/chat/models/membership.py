"""The members of a conversation, and how far each has read it."""

from collections.abc import Iterable, Sequence
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import F, Q, QuerySet

from apps.chat.models.conversation import Conversation
from apps.chat.models.message import Message
from apps.core.db.sql import insert
from apps.core.ids import in_order, uuid7, uuid7s


class MembershipManager(models.Manager["Membership"]):
    """Finds memberships, moves their cursors, and updates those of direct conversations."""

    def of_direct(self, conversation: Conversation) -> "QuerySet[Membership]":
        """Return the memberships of a direct conversation; none of a group."""
        return self.filter(conversation=conversation, incoming_seq__isnull=False)

    def move(self, memberships: "Iterable[Membership]", cursor: str) -> None:
        """Write a cursor of memberships, which are locked."""
        insert(
            Membership,
            ("id", "conversation", "user", cursor),
            [
                (uuid7(), one.conversation_id, one.user_id, getattr(one, cursor))
                for one in memberships
            ],
            f"ON CONFLICT (conversation_id, user_id) DO UPDATE SET {cursor} = excluded.{cursor}",
        )

    def update_direct(self, messages: Iterable[Sequence[Message]]) -> None:
        """Move direct conversations, each given by its new messages, to the top of the lists of
        their two users, and store the number of the newest message for each of them.

        The read cursor of a user without unread messages moves up to the first new message of the
        other.
        """
        rows = [
            (new[0].conversation_id, user, *_cursors(user, new), new[-1].created_at)
            for new in messages
            for user in (new[0].sender_id, new[0].receiver_id)
            if user
        ]
        rows.sort(key=lambda row: in_order(row[:2]))
        insert(
            Membership,
            ("conversation", "user", "read_seq", "incoming_seq", "last_message_at", "id"),
            [(*row, id_) for row, id_ in zip(rows, uuid7s(len(rows)), strict=True)],
            "ON CONFLICT (conversation_id, user_id) DO UPDATE SET"
            " last_message_at = excluded.last_message_at,"
            " read_seq = CASE WHEN {table}.incoming_seq <= {table}.read_seq"
            " THEN excluded.read_seq ELSE {table}.read_seq END,"
            " incoming_seq = CASE WHEN excluded.incoming_seq > 0"
            " THEN excluded.incoming_seq ELSE {table}.incoming_seq END",
        )


def _cursors(user_id: UUID | None, new: Sequence[Message]) -> tuple[int, int]:
    """Return the number up to which none of the new messages is unread to the user, and the number
    of the newest message of the other user, or 0."""
    incoming = [message.seq for message in new if message.sender_id != user_id]
    return (incoming[0] - 1, incoming[-1]) if incoming else (new[-1].seq, 0)


class Membership(models.Model):
    """A conversation as one of its members has it.

    The member may read the messages after `joined_seq`. All messages of others up to `read_seq` are
    read, and up to `delivered_seq` delivered, unless they were deleted. For the messages after
    these cursors the receipts decide. Both cursors are lower bounds, from which a search starts.
    """

    class Role(models.TextChoices):
        OWNER = "owner"
        ADMIN = "admin"
        MEMBER = "member"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="memberships", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    role = models.CharField(
        max_length=10, choices=Role.choices, default=Role.MEMBER, db_default=Role.MEMBER
    )
    # The numbers of the last message and of the last event before they joined.
    joined_seq = models.PositiveBigIntegerField(default=0, db_default=0)
    joined_event = models.PositiveBigIntegerField(default=0, db_default=0)
    read_seq = models.PositiveBigIntegerField(default=0, db_default=0)
    delivered_seq = models.PositiveBigIntegerField(default=0, db_default=0)
    # Only of direct conversations, since every message writes them in both rows; they are null for
    # groups. The number of the newest message of the other user, and the time of the newest message
    # of both, which orders the list and is null while all messages are deleted.
    incoming_seq = models.PositiveBigIntegerField(null=True)
    last_message_at = models.DateTimeField(null=True)

    # Filled in by queries.with_list_columns(), and by runs.memberships_locked().
    unread: int
    newest_id: UUID | None
    has_gaps: bool

    objects: ClassVar[MembershipManager] = MembershipManager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["conversation", "user"], name="membership_unique"),
            models.UniqueConstraint(
                fields=["conversation"], name="membership_one_owner", condition=Q(role="owner")
            ),
            models.CheckConstraint(
                condition=Q(role="member")
                | Q(role__in=["owner", "admin"], incoming_seq=None, last_message_at=None),
                name="membership_role_known_and_of_a_group",
            ),
            models.CheckConstraint(
                condition=Q(read_seq__gte=F("joined_seq"), delivered_seq__gte=F("joined_seq")),
                name="membership_reads_what_came_after",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["user", "-last_message_at", "-id"], name="membership_list"),
            # A user's groups, and their direct conversations that may have unread messages.
            models.Index(
                fields=["user"],
                name="membership_unread",
                condition=Q(incoming_seq=None) | Q(incoming_seq__gt=F("read_seq")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.conversation_id}"

    @property
    def is_of_group(self) -> bool:
        """Return whether the conversation is a group."""
        return self.incoming_seq is None


class DeliveryCursor(models.Model):
    """The event of a user's stream up to which a device of theirs has confirmed everything.

    Every message of the stream up to there is delivered, so the next call starts after it.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    seq = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.user_id} has {self.seq}"
