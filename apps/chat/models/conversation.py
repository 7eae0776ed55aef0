"""A conversation: of two users, or of a group."""

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from apps.accounts.models import User
from apps.chat.models.message import Message
from apps.core.db.sql import insert
from apps.core.ids import in_order, uuid7, uuid7s

Pair = tuple[UUID, UUID]


def pair_of(one: UUID, other: UUID) -> Pair:
    """Return the key of the direct conversation of two users, in either order."""
    return (one, other) if one < other else (other, one)


class ConversationManager(models.Manager["Conversation"]):
    """Finds and locks conversations, and numbers their messages."""

    def between(self, one: UUID, other: UUID) -> "QuerySet[Conversation]":
        """Return the direct conversation of two users, if there is one."""
        first, second = pair_of(one, other)
        return self.filter(first=first, second=second)

    def locked(self, ids: Collection[UUID]) -> "QuerySet[Conversation]":
        """Return conversations, locked in the order of their ids.

        Rows that only refer to them, such as receipts, may be written meanwhile.
        """
        return self.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)

    def number_direct(
        self, messages: Mapping[Pair, Sequence[Message]], users: Mapping[UUID, User]
    ) -> None:
        """Give the new messages of each pair the next numbers of its conversation.

        One statement creates, locks and updates the conversations, in the order of their pairs.
        """
        fields = ("id", "first", "second", "last_seq", "last_message_at")
        rows = [
            (id_, *pair, len(messages[pair]), messages[pair][-1].created_at)
            for id_, pair in zip(uuid7s(len(messages)), sorted(messages, key=in_order), strict=True)
        ]
        numbered = insert(
            Conversation,
            fields,
            rows,
            "ON CONFLICT (first_id, second_id) DO UPDATE SET"
            " last_seq = {table}.last_seq + excluded.last_seq,"
            " last_message_at = excluded.last_message_at"
            " RETURNING id, first_id, second_id, last_seq",
        )
        read = Conversation._meta.pk.to_python
        for pk, first, second, last_seq in numbered:
            pair = read(first), read(second)
            one, other = users[pair[0]], users[pair[1]]
            conversation = Conversation(id=read(pk), first=one, second=other, last_seq=last_seq)
            conversation.number(messages[pair])

    def number_in_groups(self, messages: "Mapping[Conversation, Sequence[Message]]") -> None:
        """Give the new messages of each group, which is locked, its next numbers."""
        for group, new in messages.items():
            group.last_seq += len(new)
            group.last_message_at = new[-1].created_at
            group.number(new)
        insert(
            Conversation,
            ("id", "kind", "title", "last_seq", "last_message_at"),
            [
                (
                    one.pk,
                    one.kind,
                    one.title,
                    one.last_seq,
                    one.last_message_at,
                )
                for one in messages
            ],
            "ON CONFLICT (id) DO UPDATE SET last_seq = excluded.last_seq,"
            " last_message_at = excluded.last_message_at",
        )


class Conversation(models.Model):
    """The conversation of two users, or of the members of a group.

    Its messages are numbered without gaps. Its memberships say who its members are; a direct one
    also names its two users, the one with the smaller id first.
    """

    class Kind(models.TextChoices):
        DIRECT = "direct"
        GROUP = "group"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(
        max_length=10, choices=Kind.choices, default=Kind.DIRECT, db_default=Kind.DIRECT
    )
    first = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        related_name="+",
        db_index=False,
    )
    second = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+"
    )
    title = models.CharField(max_length=100, default="", db_default="", blank=True)
    last_seq = models.PositiveBigIntegerField(default=0)
    # The time of the newest message that is not deleted. Without one it is that of the message that
    # was deleted last, or of the creation of a group.
    last_message_at = models.DateTimeField(default=timezone.now)
    # Too high by one for each member whose account was deleted: no service removed them.
    member_count = models.PositiveIntegerField(default=2, db_default=2)

    objects: ClassVar[ConversationManager] = ConversationManager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["first", "second"], name="conversation_one_per_pair"),
            models.CheckConstraint(
                condition=Q(first__lt=F("second")), name="conversation_pair_in_order"
            ),
            models.CheckConstraint(
                condition=Q(kind="direct", first__isnull=False, second__isnull=False, title="")
                | (Q(kind="group", first__isnull=True, second__isnull=True) & ~Q(title="")),
                name="conversation_is_a_pair_or_a_group",
            ),
        ]

    def __str__(self) -> str:
        return self.title or f"{self.first_id} and {self.second_id}"

    def other(self, user_id: UUID) -> User | None:
        """Return the other user of a direct conversation; None for a group."""
        return self.second if user_id == self.first_id else self.first

    def other_id(self, user_id: UUID) -> UUID | None:
        """Return the id of the other user of a direct conversation; None for a group."""
        return self.second_id if user_id == self.first_id else self.first_id

    def number(self, messages: Sequence[Message]) -> None:
        """Give new messages the last of its numbers. They are not delivered yet, except where the
        sender is the only member."""
        alone = self.member_count == 1
        for seq, message in enumerate(messages, self.last_seq - len(messages) + 1):
            message.conversation, message.seq = self, seq
            message.read_at, message.is_read, message.is_delivered = None, alone, alone
