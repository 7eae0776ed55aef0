"""Removing the words of deleted messages for good. The rows stay: numbers have no gaps."""

from datetime import datetime

from django.db.models import QuerySet

from apps.chat.models import Message
from apps.core.features import Purge


def _deleted(before: datetime) -> QuerySet[Message]:
    return Message.objects.filter(deleted_at__lt=before).exclude(content="")


def _blank(messages: QuerySet[Message]) -> int:
    return messages.update(content="")


MESSAGES_PURGE = Purge(found=_deleted, remove=_blank)
