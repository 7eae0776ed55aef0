"""What every build changes, so that there is less to wait for."""

from typing import Any

Changes = list[tuple[str, str, Any]]


ALWAYS: Changes = [
    ("apps.jobs.schedules", "DELAY_SECONDS", 0),
]
# The short form does not wait 25 seconds for each heartbeat, nor 30 for the job of a worker that
# was killed.
SHORT_TIMES: Changes = [
    ("apps.realtime.hub", "HEARTBEAT_PARTS", 1),
    ("apps.jobs.leases", "LEASE_SECONDS", 3),
    ("apps.jobs.worker", "RENEW_SECONDS", 1),
]
