"""What is done regularly to the tables of all features."""

from apps.core.features import prunes
from apps.jobs.tasks import IDLE, UPKEEP, job


def prune_all() -> dict[str, int]:
    """Delete the expired rows of all features, and return how many of each."""
    return {name: delete() for name, delete in prunes().items()}


@job(queue=UPKEEP, priority=IDLE, attempts=3, time_limit=1800, atomic=False)
def prune() -> dict[str, int]:
    """Do so in each hour."""
    return prune_all()
