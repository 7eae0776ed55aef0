"""Conversations of two people, and what they said.

How many messages are unread is counted from the messages, by a partial index, and kept nowhere
else, so that it cannot drift.
"""

from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.core.ids import uuid7


def pair_of(one: UUID, other: UUID) -> str:
    """Return the key of the conversation of two people, the same from either side."""
    return "".join(sorted((one.hex, other.hex)))


class Conversation(models.Model):
    """What two people say to each other; its messages are numbered without holes."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    pair = models.CharField(max_length=64, unique=True)
    last_seq = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.pair


class Message(models.Model):
    """One message. Its status only ever goes forward: sent, delivered, read."""

    class Type(models.TextChoices):
        TEXT = "text"
        IMAGE = "image"
        FILE = "file"

    class Status(models.TextChoices):
        SENT = "sent"
        DELIVERED = "delivered"
        READ = "read"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    seq = models.PositiveBigIntegerField()
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    receiver = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    content = models.TextField()
    type = models.CharField(max_length=10, choices=Type.choices, default=Type.TEXT)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.SENT)
    # Null, not empty, so that those without one are not each other's repetition.
    client_id = models.CharField(max_length=64, null=True)  # noqa: DJ001
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    read_at = models.DateTimeField(null=True)
    edited_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="message_seq_unique"),
            # Also finds a person's own messages; a repeated send is recognised by it.
            models.UniqueConstraint(
                fields=["sender", "client_id"], name="message_client_id_unique"
            ),
            models.CheckConstraint(condition=Q(seq__gte=1), name="message_seq_positive"),
            models.CheckConstraint(
                condition=~Q(sender=models.F("receiver")), name="message_not_to_oneself"
            ),
            models.CheckConstraint(
                condition=Q(type__in=["text", "image", "file"]), name="message_type_known"
            ),
            models.CheckConstraint(
                condition=Q(status="read", read_at__isnull=False)
                | Q(status__in=["sent", "delivered"], read_at__isnull=True),
                name="message_read_has_its_time",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["receiver", "conversation"],
                name="message_unread",
                # Without a value in it, which SQLite would not find again in a query's parameters.
                condition=Q(read_at=None, deleted_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.conversation_id} {self.seq}"

    @property
    def shown_content(self) -> str:
        """Return what may be shown of the content: nothing of a deleted message's."""
        return "" if self.deleted_at else self.content


class Membership(models.Model):
    """A conversation as one of its two people has it in their list."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="memberships", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    peer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    # The newest message that is not deleted; none when all are.
    last_message = models.ForeignKey(
        Message, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    last_message_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["conversation", "user"], name="membership_unique"),
            models.UniqueConstraint(fields=["user", "peer"], name="membership_one_per_peer"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["user", "-last_message_at", "-id"], name="membership_list")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} with {self.peer_id}"


class DeliveryCursor(models.Model):
    """The event of a person's stream up to which a device of theirs has said to have everything.

    Every message that the stream tells of up to there is delivered, so nobody need look again.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    seq = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.user_id} has {self.seq}"
