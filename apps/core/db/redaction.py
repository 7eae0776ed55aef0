"""Redaction of JSON copies of a row, such as logged events and kept answers."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet

Overlay = Mapping[str, Mapping[str, Any]]


def redact_json(model: type[Model], field: str, overlays: Mapping[UUID, Overlay]) -> None:
    """Overwrite parts of the JSON objects in the field of the rows about these subjects. Locks the
    rows in the order of their keys.

    In each inner object that an overlay names, such as `data`, the given keys are replaced. A row
    whose field is empty or has none of these objects does not change.
    """
    redacted: list[Model] = []
    rows: QuerySet[Any] = model._default_manager.filter(subject__in=list(overlays))
    for row in rows.order_by("pk").select_for_update():
        overlay = overlays[row.subject]
        kept: dict[str, Any] = getattr(row, field) or {}
        if named := overlay.keys() & kept.keys():
            for name in named:
                kept[name] |= overlay[name]
            redacted.append(row)
    model._default_manager.bulk_update(redacted, [field])
