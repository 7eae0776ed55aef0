"""Loops in which one that fails costs the others nothing."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)


def each(what: str, items: Iterable[T], work: Callable[[T], object]) -> None:
    """Do the work for each of the items. One that fails is logged by `what`, and passed over."""
    for item in items:
        try:
            work(item)
        except Exception:
            log.exception("failed for one of many", what=what)
