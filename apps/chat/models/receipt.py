"""Which messages a user has read, and which a device of theirs has."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.chat.models.conversation import Conversation


class Receipt(models.Model):
    """A range of messages that a user read, or that a device of theirs received, at one time.

    It covers the messages of others from its first to its last number. Ranges of one kind of one
    user in one conversation do not overlap: they are only written under the lock of the membership.
    Read receipts are kept, since outputs show their time. Delivery receipts are kept until
    Membership.delivered_seq has passed them.
    """

    class Kind(models.TextChoices):
        READ = "read"
        DELIVERED = "delivered"

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="receipts", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    first_seq = models.PositiveBigIntegerField()
    last_seq = models.PositiveBigIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["conversation", "user", "kind", "last_seq"], name="receipt_unique"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["read", "delivered"]), name="receipt_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(first_seq__gte=1, last_seq__gte=F("first_seq")),
                name="receipt_is_a_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.kind} {self.first_seq} to {self.last_seq}"
