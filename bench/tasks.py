"""What jobs do in measurements."""

import time

from apps.jobs.tasks import job


@job()
def nothing() -> None:
    """End at once."""


@job()
def tell_time() -> float:
    """Return when the task was called, in seconds since 1970."""
    return time.time()
