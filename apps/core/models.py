"""Tables that belong to no domain."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from apps.core.ids import uuid7


class IdempotencyKey(models.Model):
    """A POST that its client may repeat, and the answer to it, once there is one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    # The id of the object in the answer, so that the answer is redacted when the object is deleted.
    subject = models.UUIDField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once_per_user"),
            models.CheckConstraint(
                condition=models.Q(status__isnull=True, body__isnull=True)
                | models.Q(status__isnull=False, body__isnull=False),
                name="idempotency_key_answered_wholly",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["subject"],
                name="idempotency_key_subject",
                condition=models.Q(subject__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.user_id}"
