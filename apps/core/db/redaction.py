"""Taking words out of what is kept as JSON beside the row that they belong to."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Model, QuerySet

Overlay = Mapping[str, Mapping[str, Any]]


def redact_json(rows: QuerySet[Any], field: str, overlay: Overlay) -> None:
    """Overwrite parts of the JSON objects in the field of these rows, which are locked in the order
    of their keys.

    Of each inner object that `overlay` names, such as `data`, the given keys are replaced; a row
    whose field is empty or names none of them stays as it is.
    """
    redacted: list[Model] = []
    for row in rows.order_by("pk").select_for_update():
        kept: dict[str, Any] = getattr(row, field) or {}
        if named := overlay.keys() & kept.keys():
            for name in named:
                kept[name] |= overlay[name]
            redacted.append(row)
    rows.model.objects.bulk_update(redacted, [field])
