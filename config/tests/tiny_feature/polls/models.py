"""Polls."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.core.ids import uuid7


class Poll(models.Model):
    """A question, how many users agree, and until when they may say so."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="polls"
    )
    question = models.CharField(max_length=200)
    votes = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    closes_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.question
