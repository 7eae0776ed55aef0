"""openapi.yaml, as the tests and the fuzz run hold responses against it."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml
from django.conf import settings

from apps.core.errors import EVERYWHERE

_EVERYWHERE = {kind.status for kind in EVERYWHERE}


def described_response(operation: Mapping[str, Any], status: int) -> dict[str, Any] | None:
    """Return what an operation of openapi.yaml says about a status: its own response, or the common
    one, which is for the refusals only that every operation can give; None for any other status."""
    responses: Mapping[str, dict[str, Any]] = operation["responses"]
    if str(status) in responses or status not in _EVERYWHERE:
        return responses.get(str(status))
    return responses.get("default")


@cache
def api_document() -> dict[str, Any]:
    """Return the document."""
    loaded: dict[str, Any] = yaml.safe_load((settings.BASE_DIR / "openapi.yaml").read_text())
    return loaded


def operation_called(label: str) -> dict[str, Any]:
    """Return the operation of a method and a path as openapi.yaml writes it: GET /api/v1/posts."""
    method, path = label.split()
    operation: dict[str, Any] = api_document()["paths"][path][method.lower()]
    return operation
