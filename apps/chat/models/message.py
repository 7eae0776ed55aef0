"""A message of a conversation."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import User
from apps.core.ids import uuid7


class Message(models.Model):
    """A message. The receipts of the other members say whether it is read."""

    class Type(models.TextChoices):
        TEXT = "text"
        IMAGE = "image"
        FILE = "file"

    class Status(models.TextChoices):
        """How far a message has come; it never goes back."""

        SENT = "sent"
        DELIVERED = "delivered"
        READ = "read"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(
        "chat.Conversation", on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    seq = models.PositiveBigIntegerField()
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    content = models.TextField()
    type = models.CharField(max_length=10, choices=Type.choices, default=Type.TEXT)
    # Null, not empty, so that messages without a client id do not repeat each other.
    client_id = models.CharField(max_length=64, null=True)  # noqa: DJ001
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    edited_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    # Filled in by queries.with_status(), and for new messages by Conversation.number().
    read_at: datetime | None
    is_read: bool
    is_delivered: bool
    # Filled in by runs.unmarked_messages().
    before: int

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["conversation", "seq"], name="message_seq_unique"),
            # A repeated send is recognised by it. It also finds a user's own messages.
            models.UniqueConstraint(
                fields=["sender", "client_id"], name="message_client_id_unique"
            ),
            models.CheckConstraint(condition=Q(seq__gte=1), name="message_seq_positive"),
            models.CheckConstraint(
                condition=Q(type__in=["text", "image", "file"]), name="message_type_known"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            # Counts the messages of others after a number without reading the rows.
            models.Index(
                fields=["conversation", "seq", "sender"],
                name="message_shown",
                condition=Q(deleted_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.conversation_id} {self.seq}"

    @property
    def shown_content(self) -> str:
        """Return the content that may be shown: none of a deleted message."""
        return "" if self.deleted_at else self.content

    @property
    def status(self) -> str:
        """Return how far the message has come; in a group, with the slowest of its members."""
        if self.is_read or self.read_at:
            return self.Status.READ
        return self.Status.DELIVERED if self.is_delivered else self.Status.SENT

    @property
    def receiver(self) -> User | None:
        """Return the receiver of a direct message; None in a group."""
        return self.conversation.other(self.sender_id)

    @property
    def receiver_id(self) -> UUID | None:
        """Return the id of the receiver of a direct message; None in a group."""
        return self.conversation.other_id(self.sender_id)
