"""Loops in which a failure of one item does not affect the others."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)


def each(what: str, items: Iterable[T], work: Callable[[T], object]) -> None:
    """Do the work for each of the items. A failure is logged as one of `what`, and skipped."""
    for item in items:
        try:
            work(item)
        except Exception:
            log.exception("failed for one of many", what=what)
