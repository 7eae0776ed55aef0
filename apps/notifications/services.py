"""Writes of notifications.

Lock order: what the caller has locked, counted keys, notifications, deliveries, preferences, jobs,
then the streams of the recipients. Rows of several recipients are locked in the order of their ids,
those of one from the newest to the oldest, and deliveries in the order of their ids.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.accounts.blocks import blocked_among
from apps.accounts.errors import UserNotFound
from apps.accounts.locks import user_locked
from apps.accounts.models import User
from apps.core.db.sql import insert, update_objects, values_of
from apps.core.errors import require
from apps.core.http.conditional import require_match
from apps.jobs.enqueuing import jobs_enqueue
from apps.notifications.categories import require_category
from apps.notifications.decisions import Outcome, decide
from apps.notifications.delivering import deliveries_set
from apps.notifications.errors import NothingToChange
from apps.notifications.events import notifications_made, notifications_read
from apps.notifications.models import Channel, CountedKey, Delivery, Notification, Preferences
from apps.notifications.push_subscriptions import subscribed_among
from apps.notifications.selectors import notification_list, situation_of
from apps.notifications.serializers import MOST_IDS
from apps.notifications.tasks import job_of
from apps.notifications.unsubscribe_links import unsubscribe_choice

STORED = (
    *("id", "recipient", "category", "type", "title", "body", "url", "actor", "count", "data"),
    *("key", "group_key", "read_at", "created_at"),
)
# What one more thing of a group changes.
REPEATED = ("count", "title", "body", "url", "actor", "data")


@dataclass(frozen=True)
class Group:
    """Notifications that are one while it is unread. `title` returns its title, given how many
    things it tells."""

    key: str
    title: Callable[[int], str]


@dataclass(frozen=True)
class MarkResult:
    """How many notifications were marked as read, and whether some remain."""

    updated: int
    remaining: bool


@dataclass(frozen=True)
class _Told:
    """What notify() is given, but for the recipients."""

    category: str
    at: datetime
    type: str
    title: str
    key: str
    body: str = ""
    url: str = ""
    actor: User | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    group: Group | None = None

    def to(self, user_id: UUID) -> Notification:
        """Return the notification of a recipient, which is not stored."""
        return Notification(
            recipient_id=user_id,
            category=self.category,
            type=self.type,
            title=self.group.title(1) if self.group else self.title,
            body=self.body,
            url=self.url,
            actor=self.actor,
            data=self.data,
            key=self.key,
            group_key=self.group.key if self.group else "",
            created_at=self.at,
        )


def notify(recipients: Collection[UUID], category: str, **told: Any) -> list[Notification]:
    """Tell users something, in the caller's transaction, and return what they are told.

    What is told is `type`, `title`, `body`, `url`, `actor`, `data`, `key` and `group`, as the
    fields of a notification. Each recipient is told once of a key, however often this is called.
    One more thing of a group that is unread changes its notification instead. Left out are the
    actor, users who are disabled, and those between whom and the actor there is a block.

    Call it last in the transaction, as publish(), since it publishes. A few hundred recipients at a
    time keep the transaction short. Raises LookupError for a category that no feature names.
    """
    require_category(category)
    given = _Told(category=category, at=timezone.now(), **told)
    users = _allowed(recipients, given.actor)
    new, repeated = _store(sorted(users), given)
    _deliver(new, users, subscribed_among(users))
    heard = [one for one in (*new, *repeated) if _is_announced(one, users[one.recipient_id])]
    notifications_made(heard)
    return [*new, *repeated]


def _allowed(recipients: Collection[UUID], actor: User | None) -> dict[UUID, User]:
    """Return those of the users who may be told, with their preferences, by id."""
    asked = set(recipients)
    if actor is not None:
        asked.discard(actor.pk)
        asked -= blocked_among(actor.pk, asked)
    users = User.objects.filter(pk__in=asked, status=User.Status.ACTIVE)
    return {user.pk: user for user in users.select_related("notification_preferences")}


def _store(users: Sequence[UUID], given: _Told) -> tuple[list[Notification], list[Notification]]:
    """Return the notifications that are new, and those that tell one thing more."""
    if given.group is None:
        return _insert(users, given), []
    users = _not_counted(users, given.key)
    new = _insert(users, given)
    repeated: list[Notification] = []
    while left := sorted(set(users) - {one.recipient_id for one in (*new, *repeated)}):
        repeated += _repeat(left, given)
        # One that was read since is followed by a new one.
        left = sorted(set(left) - {one.recipient_id for one in repeated})
        new += _insert(left, given)
    return new, repeated


def _insert(users: Iterable[UUID], given: _Told) -> list[Notification]:
    made = [given.to(user) for user in users]
    ids = {
        UUID(str(id_))
        for (id_,) in insert(
            Notification,
            STORED,
            values_of(made, STORED),
            "ON CONFLICT DO NOTHING RETURNING id",
        )
    }
    return [one for one in made if one.pk in ids]


def _not_counted(users: Sequence[UUID], key: str) -> list[UUID]:
    """Note that the users are told of a key of a group, and return those who were not before."""
    now = timezone.now()
    rows = insert(
        CountedKey,
        ("recipient", "key", "created_at"),
        [(user, key, now) for user in users],
        "ON CONFLICT DO NOTHING RETURNING recipient_id",
    )
    return sorted(UUID(str(user)) for (user,) in rows)


def _repeat(users: Collection[UUID], given: _Told) -> list[Notification]:
    assert given.group is not None
    unread = Notification.objects.filter(
        recipient__in=users, group_key=given.group.key, read_at=None
    )
    found = list(unread.select_for_update().order_by("recipient"))
    for one in found:
        one.count += 1
        one.title = given.group.title(one.count)
        one.body, one.url, one.actor, one.data = given.body, given.url, given.actor, given.data
    update_objects(found, REPEATED)
    return found


def _is_announced(notification: Notification, user: User) -> bool:
    return _outcome(notification, Channel.WEBSOCKET, user).decision == Delivery.Decision.SENT


def _outcome(
    notification: Notification, channel: str, user: User, *, subscribed: bool = False
) -> Outcome:
    """Decide about a new notification of a user who may be told. Whether a device of theirs is
    active is asked by the job that lets it leave."""
    now = notification.created_at
    return decide(situation_of(notification, channel, user, now=now, subscribed=subscribed))


def _deliver(
    new: Sequence[Notification], users: Mapping[UUID, User], subscribed: Collection[UUID]
) -> None:
    """Note what becomes of new notifications by each channel, and store the jobs of those that are
    pending."""
    outcomes = {
        (one.pk, channel.value): _outcome(
            one, channel, users[one.recipient_id], subscribed=one.recipient_id in subscribed
        )
        for one in new
        for channel in Channel
    }
    told = {one.pk: one for one in new}
    stored = insert(
        Delivery,
        ("notification", "channel", "decision", "reason", "at"),
        [
            (id_, channel, outcome.decision, outcome.reason, told[id_].created_at)
            for (id_, channel), outcome in outcomes.items()
        ],
        "RETURNING id, notification_id, channel",
    )
    jobs = []
    for delivery_id, notification_id, channel in stored:
        one = told[UUID(str(notification_id))]
        outcome = outcomes[one.pk, channel]
        if outcome.decision == Delivery.Decision.PENDING:
            jobs.append(job_of(delivery_id, one.recipient_id, outcome))
    jobs_enqueue(jobs)


@transaction.atomic
def notifications_mark_read(actor: User, *, ids: Collection[UUID] | None) -> MarkResult:
    """Mark notifications of the actor as read: those of the ids, or all if they are None, MOST_IDS
    at a time. What is pending of them does not leave any more."""
    unread = notification_list(actor, unread=True)
    if ids is not None:
        unread = unread.filter(pk__in=ids)
    found = [one.pk for one in unread.select_for_update()[: MOST_IDS + 1]]
    marked, now = found[:MOST_IDS], timezone.now()
    if marked:
        Notification.objects.filter(pk__in=marked).update(read_at=now)
        pending = Delivery.objects.filter(
            notification__in=marked, decision=Delivery.Decision.PENDING
        )
        deliveries_set(pending, Delivery.Decision.CANCELLED, Delivery.Reason.READ)
        notifications_read(actor.pk, marked, now)
    return MarkResult(len(marked), len(found) > MOST_IDS)


@transaction.atomic
def preferences_change(actor: User, *, if_match: str = "", **changes: Any) -> Preferences:
    """Change the given preferences of the actor and return all; raise NothingToChange, or
    PreconditionFailed for a stale If-Match. `categories` and `email_categories` say of each named
    category whether it is on; `quiet_hours` may be None."""
    require(bool(changes), NothingToChange)
    insert(Preferences, *_defaults_of(actor), "ON CONFLICT (user_id) DO NOTHING")
    preferences = Preferences.objects.select_for_update().get(user=actor)
    require_match(if_match, str(preferences.version))
    for name in ("categories", "email_categories"):
        if (given := changes.pop(name, None)) is not None:
            off = set(getattr(preferences, f"{name}_off")) - {
                one for one, on in given.items() if on
            }
            off |= {one for one, on in given.items() if not on}
            setattr(preferences, f"{name}_off", sorted(off))
    if "quiet_hours" in changes:
        _set_quiet_hours(preferences, changes.pop("quiet_hours"))
    for name, value in changes.items():
        setattr(preferences, name, value)
    preferences.version += 1
    preferences.save()
    return preferences


@transaction.atomic
def email_unsubscribe(*, token: str) -> None:
    """Turn off what the token of a mail names: the mails of a category, or all mails about
    notifications. Raises InvalidUnsubscribeLink. There is no actor, because only the token tells
    who the user is; of a user who is gone there is nothing to turn off."""
    user_id, category = unsubscribe_choice(token)
    try:
        user = user_locked(user_id)
    except UserNotFound:
        return
    if category:
        preferences_change(user, email_categories={category: False})
    else:
        preferences_change(user, email_enabled=False)


def _defaults_of(user: User) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    names = [one.name for one in Preferences._meta.concrete_fields]
    return names, values_of([Preferences(user=user)], names)


def _set_quiet_hours(preferences: Preferences, given: Mapping[str, Any] | None) -> None:
    preferences.quiet_from = given["from_"] if given else None
    preferences.quiet_to = given["to"] if given else None
    preferences.timezone = given["timezone"] if given else "UTC"
