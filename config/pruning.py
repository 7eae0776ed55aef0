"""Deleting what nobody may count on any more."""

import threading

import structlog
from django.db import close_old_connections, connections

from apps.core.features import prunes
from config.limits import lift_statement_limit

log = structlog.get_logger(__name__)

EVERY_SECONDS = 3600


def prune_all() -> dict[str, int]:
    """Delete what has expired and return how much of what."""
    close_old_connections()
    return {name: prune() for name, prune in prunes().items()}


def prune_regularly(stop: threading.Event, every: float) -> None:
    """Prune, and again whenever so many seconds have gone by, until told to stop.

    A database that is away or busy is no reason to end: the next time will do.
    """
    while not stop.is_set():
        try:
            log.info("pruned", **prune_all())
        except Exception:
            log.warning("not pruned", exc_info=True)
        stop.wait(every)


def start_pruning(stop: threading.Event) -> threading.Thread:
    """Prune regularly in a thread of this process, where there is no worker, until told to stop."""

    def work() -> None:
        lift_statement_limit(connections["default"])
        # A server that starts has more urgent things to do.
        if not stop.wait(EVERY_SECONDS):
            prune_regularly(stop, EVERY_SECONDS)

    thread = threading.Thread(target=work, name="prune", daemon=True)
    thread.start()
    return thread
