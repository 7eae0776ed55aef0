"""What core keeps of a user: their stored responses, and the traces of moderators."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from apps.core.features import PersonalData
from apps.core.models import IdempotencyKey
from apps.core.trace import traces_redact


def _traces(user_id: UUID) -> Iterable[Mapping[str, Any]]:
    """Return what was done to the user and what they did as a moderator; not by whom."""
    entries = LogEntry.objects.filter(Q(user=user_id) | Q(object_id=str(user_id)))
    return entries.order_by("pk").values(
        "action_time", "content_type__model", "object_id", "object_repr", "change_message"
    )


@transaction.atomic
def _erase(user_id: UUID, successor_id: UUID) -> Mapping[str, int]:
    # The response to another user may show this one. A request that is repeated is made again.
    shows_them = Cast("body", TextField())
    keys = IdempotencyKey.objects.annotate(text=shows_them)
    responses, _ = keys.filter(Q(user=user_id) | Q(text__contains=str(user_id))).delete()
    LogEntry.objects.filter(user=user_id).update(user=successor_id)
    traces = traces_redact([str(user_id)], str(successor_id))
    return {"stored responses": responses, "traces of moderators": traces}


PERSONAL_DATA = PersonalData(
    fields={"core.IdempotencyKey.user", "admin.LogEntry.user"},
    exports={"moderation": _traces},
    erase=_erase,
)
