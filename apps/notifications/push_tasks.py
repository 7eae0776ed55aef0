"""Jobs that push notifications to browsers: one for each browser, whose push service may hang or be
gone while the others are there."""

from collections.abc import Collection
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from apps.jobs.enqueuing import jobs_enqueue
from apps.jobs.errors import TryLater
from apps.jobs.models import Job
from apps.jobs.services import UNENDED
from apps.jobs.steps import RunningJob, current_job
from apps.jobs.tasks import IDLE, NotYet, job
from apps.notifications.delivering import delivery_decide
from apps.notifications.models import Delivery, PushSubscription
from apps.notifications.push_messages import push_message
from apps.notifications.push_subscriptions import (
    MOST_BROWSERS,
    subscription_failed,
    subscription_served,
    subscription_try,
    subscriptions_of,
)
from apps.notifications.vapid import contact
from apps.notifications.web_push import TIME_LIMIT, Outcome, Result, Sender, Target, web_push

Decision, Reason = Delivery.Decision, Delivery.Reason

# Seconds that finding the host of a push service may take besides.
LOOKUP = 10.0
# What a step of a job records: that its browser has the message, or is not to be waited for.
TAKEN, GIVEN_UP = "taken", "given up"
# What a success takes the place of.
CHANGEABLE = (Decision.PENDING, Decision.CANCELLED, Decision.FAILED)
NOTHING_TO_DO = "Nothing is pushed any more"


# The lowest priority: push services that hang hold up no mail.
@job(priority=IDLE, attempts=10, time_limit=TIME_LIMIT + LOOKUP, atomic=False)
def push_to(delivery_id: int, subscription_id: str) -> str:
    """Push a notification to a browser, and return what became of it."""
    job = current_job()
    delivery = _wanted(delivery_id)
    if delivery is None or job.checkpoint == TAKEN or not _may_leave(delivery_id):
        return NOTHING_TO_DO
    recipient = delivery.notification.recipient_id
    subscription = subscriptions_of(recipient).filter(pk=subscription_id).first()
    if subscription is None:
        _give_up(job, delivery, Reason.REFUSED)
        return NOTHING_TO_DO
    if job.is_last_attempt:
        # Before it is made, so that it is known if the worker dies in it. A success goes before.
        _give_up(job, delivery, Reason.UNREACHABLE)
    if seconds := subscription_try(subscription):
        raise TryLater("The push service did not take the last message", seconds)
    outcome = _push(delivery, subscription)
    if outcome.result is Result.SENT:
        _sent(job, delivery, subscription)
    elif outcome.result is Result.GONE:
        _give_up(job, delivery, Reason.REFUSED, gone=subscription)
    else:
        subscription_failed(subscription, outcome.retry_after)
        if outcome.result is Result.LATER:
            raise TryLater(outcome.reason, outcome.retry_after or 0)
        _give_up(job, delivery, Reason.REFUSED)
    return outcome.reason


def pushes_enqueue(delivery: Delivery) -> None:
    """Store a job for each browser of the recipient, in the present transaction. A job that has not
    ended is not stored again. Without a browser the delivery is skipped."""
    tasks = _tasks(delivery)
    if tasks:
        jobs_enqueue(
            (push_to.with_options(unique_key=key), [delivery.pk, str(pk)])
            for key, pk in tasks.items()
        )
    else:
        _decide(delivery, Decision.SKIPPED, Reason.NO_SUBSCRIPTION)


def _tasks(delivery: Delivery) -> dict[str, UUID]:
    """Return the browsers of the recipient by the keys of their jobs."""
    found = subscriptions_of(delivery.notification.recipient_id).values_list("pk", flat=True)
    return {f"push:{delivery.pk}:{pk}": pk for pk in found[:MOST_BROWSERS]}


def _wanted(delivery_id: int) -> Delivery | None:
    """Return the delivery unless it was cancelled, as by reading. One that was sent was sent to
    another browser; one that failed may have been the last attempt of another job."""
    open_ones = Delivery.objects.filter(
        decision__in=(Decision.PENDING, Decision.SENT, Decision.FAILED), notification__read_at=None
    )
    return open_ones.select_related("notification").filter(pk=delivery_id).first()


def _may_leave(delivery_id: int) -> bool:
    """Decide again, since it may have waited for its push service for hours: return whether it
    leaves, or raise NotYet. What another browser has was decided then."""
    decided = delivery_decide(delivery_id)
    if decided is None:
        return True
    _, outcome = decided
    if outcome.not_before is not None and outcome.reason != Reason.DUE:
        raise NotYet(outcome.not_before)
    return outcome.reason == Reason.DUE


def _push(delivery: Delivery, subscription: PushSubscription) -> Outcome:
    target = Target(subscription.endpoint, subscription.p256dh, subscription.auth)
    sender = Sender(settings.VAPID_SECRET, contact())
    notification = delivery.notification
    return web_push(target, push_message(notification), notification.pk, sender)


def _sent(job: RunningJob, delivery: Delivery, subscription: PushSubscription) -> None:
    with job.step(TAKEN, progress=100):
        # What was read meanwhile has left nevertheless.
        _decide(delivery, Decision.SENT, Reason.SENT, CHANGEABLE)
        subscription_served(subscription, timezone.now())


def _give_up(
    job: RunningJob, delivery: Delivery, reason: str, gone: PushSubscription | None = None
) -> None:
    """Note that this browser does not get it, and decide if no other one may."""
    with job.step(GIVEN_UP, progress=100):
        # Jobs that end at one moment take turns, so that the last of them knows of the others.
        if Delivery.objects.select_for_update().filter(pk=delivery.pk).first() is None:
            return
        if gone:
            PushSubscription.objects.filter(pk=gone.pk).delete()
        tasks = _tasks(delivery)
        hopes = Job.objects.filter(unique_key__in=tasks, status__in=UNENDED)
        if hopes.filter(checkpoint__isnull=True).exists():
            return
        if tasks:
            _decide(delivery, Decision.FAILED, reason)
        else:
            _decide(delivery, Decision.SKIPPED, Reason.NO_SUBSCRIPTION)


def _decide(
    delivery: Delivery, decision: str, reason: str, former: Collection[str] = (Decision.PENDING,)
) -> None:
    Delivery.objects.filter(pk=delivery.pk, decision__in=former).update(
        decision=decision, reason=reason, at=timezone.now()
    )
