"""What moderators did: the entries of Django's log, which the admin's pages show."""

from collections.abc import Collection
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import Model


def trace(actor: Any, subject: Model, **changes: tuple[object, object]) -> None:
    """Write that the actor has changed the subject: each changed field, from what and to what.

    A service calls it in the transaction of its change, so that neither is there without the other,
    and after its locks, so that "before" is what the change has replaced. Raises RuntimeError
    outside of a transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("trace() belongs inside the transaction of the change it describes.")
    described = (f"{field}: {before} → {after}" for field, (before, after) in changes.items())
    LogEntry.objects.create(
        user_id=actor.pk,
        content_type=ContentType.objects.get_for_model(subject),
        object_id=str(subject.pk),
        object_repr=str(subject)[:200],
        action_flag=CHANGE,
        change_message=", ".join(described),
    )


def traces_redact(ids: Collection[str], successor_id: str = "") -> int:
    """Take what describes the subjects of these ids out of their entries, which then name the
    successor, and return how many entries there were."""
    return LogEntry.objects.filter(object_id__in=ids).update(
        object_id=successor_id, object_repr="erased", change_message=""
    )
