"""Running the prunes of all features, which delete expired rows."""

import threading

import structlog
from django.db import close_old_connections, connections

from apps.core.features import prunes
from config.limits import lift_statement_limit

log = structlog.get_logger(__name__)

EVERY_SECONDS = 3600


def prune_all() -> dict[str, int]:
    """Run all prunes and return how many rows each of them deleted."""
    close_old_connections()
    return {name: prune() for name, prune in prunes().items()}


def prune_regularly(stop: threading.Event, every: float) -> None:
    """Prune at once and then every so many seconds, until told to stop.

    After a failure, as of a database that is down or busy, the next run prunes.
    """
    while not stop.is_set():
        try:
            log.info("pruned", **prune_all())
        except Exception:
            log.warning("not pruned", exc_info=True)
        stop.wait(every)


def start_pruning(stop: threading.Event) -> threading.Thread:
    """Prune regularly in a thread of this process, until told to stop: an installation of one
    process has no worker."""

    def work() -> None:
        lift_statement_limit(connections["default"])
        # The first run waits, so that it does not slow down a server that starts.
        if not stop.wait(EVERY_SECONDS):
            prune_regularly(stop, EVERY_SECONDS)

    thread = threading.Thread(target=work, name="prune", daemon=True)
    thread.start()
    return thread
