"""What becomes of deliveries that are pending: each is decided again when it is due.

Lock order: deliveries by id, then jobs. Nothing is locked while a mail server or a push service is
talked to: what leaves at that moment has left, although it may be read meanwhile.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.accounts.blocks import blocked_among
from apps.accounts.models import User
from apps.notifications.decisions import Outcome, decide
from apps.notifications.models import Channel, Delivery
from apps.notifications.push_subscriptions import subscribed_among
from apps.notifications.selectors import situation_of
from apps.realtime.presence import is_active

Decision, Reason = Delivery.Decision, Delivery.Reason


@dataclass(frozen=True)
class Digest:
    """The deliveries to a user that leave together now, the newest first, and when those leave that
    are not due yet."""

    user: User
    due: list[Delivery]
    later: set[datetime]


def deliveries_set(deliveries: QuerySet[Delivery], decision: str, reason: str) -> None:
    """Note what became of deliveries."""
    with transaction.atomic():
        # All transactions lock them in this order. The condition is looked at again under the lock.
        locked = deliveries.select_for_update(of=("self",)).order_by("pk")
        ids = list(locked.values_list("pk", flat=True))
        Delivery.objects.filter(pk__in=ids).update(
            decision=decision, reason=reason, at=timezone.now()
        )


def deliveries_sent(ids: Iterable[int]) -> None:
    """Note that deliveries have left; also those that were cancelled while they did, and those that
    had failed before their last attempt."""
    unsent = (Decision.PENDING, Decision.CANCELLED, Decision.FAILED)
    deliveries_set(
        Delivery.objects.filter(pk__in=list(ids), decision__in=unsent),
        Decision.SENT,
        Reason.SENT,
    )


def deliveries_failed(ids: Iterable[int], reason: str) -> None:
    """Note that deliveries could not leave, and are not tried again."""
    deliveries_set(_unsent().filter(pk__in=list(ids)), Decision.FAILED, reason)


def delivery_decide(delivery_id: int) -> tuple[Delivery, Outcome] | None:
    """Decide again about a delivery, and return it with what was decided; None if that is final.
    What failed for want of an answer is not: an operator may try its job again."""
    with transaction.atomic():
        related = ("notification__recipient__notification_preferences", "notification__actor")
        found = _unsent().select_for_update(of=("self",)).select_related(*related)
        delivery = found.filter(pk=delivery_id).first()
        if delivery is None:
            return None
        outcome = _decided(delivery)
        if (delivery.decision, delivery.reason) != (outcome.decision, outcome.reason):
            delivery.decision, delivery.reason = outcome.decision, outcome.reason
            delivery.at = timezone.now()
            delivery.save(update_fields=["decision", "reason", "at"])
        return delivery, outcome


def _decided(delivery: Delivery) -> Outcome:
    told = delivery.notification
    user, actor_id = told.recipient, told.actor_id
    is_push = delivery.channel == Channel.PUSH
    situation = situation_of(
        told,
        delivery.channel,
        user,
        now=timezone.now(),
        blocked=actor_id is not None and bool(blocked_among(user.pk, [actor_id])),
        subscribed=is_push and user.pk in subscribed_among([user.pk]),
    )
    outcome = decide(situation)
    # Redis is asked only about what would leave otherwise.
    if outcome.reason == Reason.DUE and is_active(user.pk):
        return decide(replace(situation, active=True))
    return outcome


def digest_decide(user_id: UUID, due: datetime) -> Digest | None:
    """Decide again about what waits for the digest of a time, and return what leaves with it; None
    if nobody is there to read it. A digest does not wait for devices that are active."""
    related = User.objects.select_related("notification_preferences")
    user = related.filter(pk=user_id).first()
    if user is None:
        return None
    with transaction.atomic():
        waiting = _pending().filter(
            notification__recipient=user,
            notification__created_at__lt=due,
            channel=Channel.EMAIL,
            reason=Reason.DIGEST,
        )
        locked = waiting.select_for_update(of=("self",)).select_related("notification__actor")
        return _digest_of(user, list(locked.order_by("pk")))


def _digest_of(user: User, waiting: Collection[Delivery]) -> Digest:
    now, actors = timezone.now(), {one.notification.actor_id for one in waiting}
    blocked = blocked_among(user.pk, [actor for actor in actors if actor is not None])
    digest = Digest(user, [], set())
    refused: dict[tuple[str, str], list[int]] = {}
    for one in waiting:
        told = one.notification
        outcome = decide(
            situation_of(told, one.channel, user, now=now, blocked=told.actor_id in blocked)
        )
        if outcome.decision != Decision.PENDING:
            refused.setdefault((outcome.decision, outcome.reason), []).append(one.pk)
        elif outcome.reason == Reason.DUE:
            digest.due.insert(0, one)
        elif outcome.not_before is not None:
            digest.later.add(outcome.not_before)
    for (decision, reason), ids in refused.items():
        deliveries_set(Delivery.objects.filter(pk__in=ids), decision, reason)
    return digest


def _pending() -> QuerySet[Delivery]:
    return Delivery.objects.filter(decision=Decision.PENDING)


def _unsent() -> QuerySet[Delivery]:
    unreachable = Q(decision=Decision.FAILED, reason=Reason.UNREACHABLE)
    return Delivery.objects.filter(unreachable | Q(decision=Decision.PENDING))
