"""Where a user is still found, in any table: the check after an erasure."""

from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import Model, Q, QuerySet, TextField, UUIDField
from django.db.models.functions import Cast


def remains_of(user_id: UUID, email: str) -> dict[str, int]:
    """Return in how many rows of each column of text, JSON and ids the id or the address of a user
    is found, by the names `app.Model.field`. It reads every table as a whole."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.concrete_fields:
            if count := _count(model, field, user_id, email):
                found[f"{model._meta.label}.{field.name}"] = count
    return found


def _count(model: type[Model], field: Any, user_id: UUID, email: str) -> int:
    rows: QuerySet[Any] = model._default_manager.order_by()
    # A foreign key holds what the key holds that it refers to.
    held = field
    while held.remote_field:
        held = held.target_field
    if isinstance(held, UUIDField):
        return rows.filter(**{field.attname: user_id}).count()
    if held.get_internal_type() not in {"CharField", "EmailField", "TextField", "JSONField"}:
        return 0
    contains = Q()
    for part in filter(None, (str(user_id), user_id.hex, email)):
        contains |= Q(searched__icontains=part)
    rows = rows.annotate(searched=Cast(field.attname, TextField()))
    return rows.filter(contains).count()
