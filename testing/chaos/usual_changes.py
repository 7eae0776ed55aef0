"""What every build changes, so that experiments have their sinks, more moments at which something
can be killed, and less to wait for."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

Changes = list[tuple[str, str, Any]]


def push_to_the_sink(target: Any, message: Any, message_id: Any, sender: Any) -> Any:
    """Push to the service of the experiments, which is not on the public internet."""
    from apps.notifications.tests.push_service import network_at
    from apps.notifications.web_push import web_push

    certificate = Path(os.environ["CHAOS_PUSH_CERTIFICATE"])
    network = network_at(int(os.environ["CHAOS_PUSH_PORT"]), certificate)
    return web_push(target, message, message_id, sender, network)


ALWAYS: Changes = [
    ("apps.notifications.push_tasks", "web_push", push_to_the_sink),
    ("apps.posts.tasks", "TOLD_AT_ONCE", 2),
    ("apps.jobs.schedules", "DELAY_SECONDS", 0),
    # All followers are active at a device, which delays what leaves.
    ("apps.notifications.decisions", "ACTIVE_DELAY", timedelta(seconds=1)),
    ("apps.notifications.decisions", "LONGEST_DELAY", timedelta(seconds=1)),
]
# The short form does not wait 25 seconds for each heartbeat, nor 30 for the job of a worker that
# was killed.
SHORT_TIMES: Changes = [
    ("apps.realtime.hub", "HEARTBEAT_PARTS", 1),
    ("apps.jobs.leases", "LEASE_SECONDS", 3),
    ("apps.jobs.worker", "RENEW_SECONDS", 1),
]
