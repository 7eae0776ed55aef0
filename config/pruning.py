"""Running the prunes of all features, which delete expired rows.

Every server does so, and a worker, if there is one. With Redis they share the work: in each
interval the first process that takes its key prunes.
"""

import threading
import time

import structlog
from django.conf import settings
from django.db import close_old_connections, connections

from apps.core.features import prunes
from apps.core.redis import RedisDown, key, with_redis
from config.limits import lift_statement_limit

log = structlog.get_logger(__name__)

EVERY_SECONDS = 3600


def prune_all() -> dict[str, int]:
    """Run all prunes and return how many rows each of them deleted."""
    close_old_connections()
    return {name: prune() for name, prune in prunes().items()}


def prune_regularly(stop: threading.Event, every: float) -> None:
    """Prune at once and then every so many seconds, until told to stop; leave it out where another
    process has pruned in the same interval.

    After a failure, as of a database that is down or busy, the next run prunes.
    """
    while not stop.is_set():
        try:
            if take_interval(every):
                log.info("pruned", **prune_all())
        except Exception:
            log.warning("not pruned", exc_info=True)
        # The next run is far away, and a server has one connection more than it uses else.
        connections.close_all()
        stop.wait(every)


def take_interval(every: float) -> bool:
    """Return whether this process is the first one to ask in the present interval of so many
    seconds. Without Redis there is no other one; while Redis is away several may prune, which costs
    time and harms nothing."""
    if not settings.REDIS_URL:
        return True
    interval = key(f"pruning:{every}:{int(time.time() // every)}")
    kept = max(1, int(2 * every))
    try:
        return bool(with_redis("main", lambda client: client.set(interval, 1, nx=True, ex=kept)))
    except RedisDown:
        return True


def start_pruning(stop: threading.Event) -> threading.Thread:
    """Prune regularly in a thread of this process, until told to stop."""

    def work() -> None:
        lift_statement_limit(connections["default"])
        # The first run waits, so that it does not slow down a server that starts.
        if not stop.wait(EVERY_SECONDS):
            prune_regularly(stop, EVERY_SECONDS)

    thread = threading.Thread(target=work, name="prune", daemon=True)
    thread.start()
    return thread
