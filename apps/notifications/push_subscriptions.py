"""The subscriptions of browsers to web push: each is that of one session.

Lock order: the session, then one subscription. A job of a push locks its own row, then the
delivery, then one subscription. Nothing waits for a second one, since sessions may exchange theirs.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.accounts.errors import SessionOver
from apps.accounts.models import Session, User
from apps.accounts.selectors import active_sessions
from apps.core.db.sql import insert, values_of
from apps.notifications.models import PushSubscription
from apps.notifications.push_endpoints import require_subscription

# A message goes to at most so many browsers of a user: those that subscribed last.
MOST_BROWSERS = 20
# How long nothing is pushed to a browser whose push service did not take a message: the first time,
# and at most, since each time it is twice as long.
FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(minutes=15)
# So many in a row are counted: after them the pause is no longer.
MOST_FAILURES = 10

_MOVED = """ON CONFLICT (endpoint) DO UPDATE SET id = excluded.id, session_id = excluded.session_id,
    p256dh = excluded.p256dh, auth = excluded.auth, created_at = excluded.created_at,
    last_sent_at = NULL, failures = 0, paused_until = NULL"""


def subscriptions_of(user_id: UUID) -> QuerySet[PushSubscription]:
    """Return the subscriptions of a user that are good, those of active sessions: the latest
    first."""
    sessions = active_sessions().filter(user=user_id)
    return PushSubscription.objects.filter(session__in=sessions).order_by("-id")


def subscribed_among(user_ids: Collection[UUID]) -> set[UUID]:
    """Return which of the users have a browser to which messages can be pushed."""
    sessions = active_sessions().filter(user__in=user_ids, push_subscriptions__isnull=False)
    return set(sessions.values_list("user", flat=True))


def subscription_add(
    actor: User, *, session_id: UUID, endpoint: str, keys: Mapping[str, str]
) -> tuple[PushSubscription, bool]:
    """Have messages to the actor pushed to the browser of their session, and return its
    subscription and whether it is new. It takes the place of the session's former one, and the
    endpoint is no more that of another session. Raises Invalid, or SessionOver."""
    require_subscription(endpoint, keys["p256dh"], keys["auth"])
    with transaction.atomic():
        session = _session_locked(actor, session_id)
        stored = PushSubscription.objects.filter(session=session, endpoint=endpoint, **keys)
        if same := stored.first():
            return same, False
        made = PushSubscription(session=session, endpoint=endpoint, **keys)
        _insert(made)
        # One that is locked just becomes that of another session.
        former = PushSubscription.objects.filter(session=session).exclude(pk=made.pk)
        free = former.select_for_update(skip_locked=True).values_list("pk", flat=True)
        PushSubscription.objects.filter(pk__in=list(free)).delete()
    return made, True


def _session_locked(actor: User, session_id: UUID) -> Session:
    """Lock the session, so that it makes one subscription at a time and does not end meanwhile."""
    sessions = active_sessions().select_for_update(of=("self",))
    session = sessions.filter(user=actor, pk=session_id).first()
    if session is None:
        raise SessionOver
    return session


def _insert(made: PushSubscription) -> None:
    """Insert a subscription in place of that with its endpoint."""
    names = ("id", "session", "endpoint", "p256dh", "auth", "created_at", "failures")
    insert(PushSubscription, names, values_of([made], names), _MOVED)


def subscription_remove(actor: User, *, session_id: UUID) -> None:
    """Push nothing more to the browser of the actor's session; nothing happens if nothing was."""
    PushSubscription.objects.filter(session__user=actor, session=session_id).delete()


def subscription_try(subscription: PushSubscription) -> float:
    """Return in how many seconds a message may be pushed, 0 for now.

    After a failure one message at a time is tried, once for each pause, so that a push service that
    hangs does not hold up a worker for each message. This is an action of the system.
    """
    if subscription.failures == 0:
        return 0
    now = timezone.now()
    due = PushSubscription.objects.filter(pk=subscription.pk, paused_until__lte=now)
    until = now + _pause(subscription.failures)
    if due.update(paused_until=until):
        return 0
    return max(0.0, ((subscription.paused_until or until) - now).total_seconds()) or 1.0


def subscription_failed(subscription: PushSubscription, retry_after: int | None) -> None:
    """Note that a message was not taken, and for how many seconds the push service wants none. This
    is an action of the system."""
    failures = min(subscription.failures + 1, MOST_FAILURES)
    pause = max(_pause(failures), timedelta(seconds=retry_after or 0))
    PushSubscription.objects.filter(pk=subscription.pk).update(
        failures=failures, paused_until=timezone.now() + pause
    )


def subscription_served(subscription: PushSubscription, at: datetime) -> None:
    """Note that a message was taken. This is an action of the system."""
    PushSubscription.objects.filter(pk=subscription.pk).update(
        last_sent_at=at, failures=0, paused_until=None
    )


def _pause(failures: int) -> timedelta:
    pause: timedelta = FIRST_PAUSE * 2 ** (failures - 1)
    return min(LONGEST_PAUSE, pause)
