"""Jobs that push notifications to browsers."""

from uuid import UUID

from apps.jobs.enqueuing import jobs_enqueue
from apps.jobs.tasks import IDLE, job
from apps.notifications.models import Delivery
from apps.notifications.push_subscriptions import MOST_BROWSERS, subscriptions_of


# The lowest priority: push services that hang hold up no mail.
@job(priority=IDLE, attempts=10, time_limit=20, atomic=False)
def push_to(delivery_id: int, subscription_id: str) -> None:
    """Push a notification to a browser."""


def pushes_enqueue(delivery: Delivery) -> None:
    """Store a job for each browser of the recipient, in the present transaction. One that has not
    ended is not stored again."""
    found = subscriptions_of(delivery.notification.recipient_id)[:MOST_BROWSERS]
    jobs_enqueue(
        (push_to.with_options(unique_key=_key(delivery.pk, one.pk)), [delivery.pk, str(one.pk)])
        for one in found
    )


def _key(delivery_id: int, subscription_id: UUID) -> str:
    return f"push:{delivery_id}:{subscription_id}"
