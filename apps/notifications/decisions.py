"""Whether a notification leaves by a channel, now or later, and why. It is a function of what it is
given, without clock or database; tests/test_decisions.py is the table of its cases."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from apps.notifications.models import Channel, Delivery

Decision, Reason = Delivery.Decision, Delivery.Reason

# While a device of theirs is active, a user most likely sees the notification there.
ACTIVE_DELAY = timedelta(minutes=5)
# After so long it leaves although a device is active: somebody who works all day gets their mail.
LONGEST_DELAY = timedelta(hours=1)
# When a digest leaves, in the user's zone.
DIGEST_AT = time(8)


@dataclass(frozen=True)
class QuietHours:
    """The time of each day in which nothing leaves that may wake a user. They may go past midnight;
    from and to the same time, they are none."""

    start: time
    end: time
    zone: str


@dataclass(frozen=True)
class Wanted:
    """What a user wants to be told. The defaults are those of a user who has chosen nothing."""

    channels_off: Collection[str] = ()
    categories_off: Collection[str] = ()
    email_categories_off: Collection[str] = ()
    quiet: QuietHours | None = None
    digest: bool = False


@dataclass(frozen=True)
class Situation:
    """All that a decision depends on. `active` is whether a device of theirs is in use."""

    channel: str
    category: str
    now: datetime
    created_at: datetime
    wanted: Wanted = Wanted()
    read: bool = False
    blocked: bool = False
    disabled: bool = False
    verified: bool = True
    subscribed: bool = True
    active: bool = False


@dataclass(frozen=True)
class Outcome:
    """A decision, its reason, and for what is pending when it is due."""

    decision: str
    reason: str
    not_before: datetime | None = None


def decide(given: Situation) -> Outcome:
    """Return what becomes of a notification by a channel. What stands in the way for good comes
    before what delays it. The websocket wakes nobody, so nothing delays it."""
    if given.read:
        return Outcome(Decision.CANCELLED, Reason.READ)
    if refusal := _refusal(given):
        return Outcome(Decision.SKIPPED, refusal)
    if given.channel == Channel.WEBSOCKET:
        return Outcome(Decision.SENT, Reason.SENT)
    return _when(given)


def _refusal(given: Situation) -> str | None:
    wanted, by_email = given.wanted, given.channel == Channel.EMAIL
    reasons = {
        Reason.BLOCKED: given.blocked,
        Reason.ACCOUNT_DISABLED: given.disabled,
        Reason.CHANNEL_OFF: given.channel in wanted.channels_off,
        Reason.CATEGORY_OFF: given.category in wanted.categories_off,
        Reason.CATEGORY_EMAIL_OFF: by_email and given.category in wanted.email_categories_off,
        Reason.ADDRESS_UNVERIFIED: by_email and not given.verified,
        Reason.NO_SUBSCRIPTION: given.channel == Channel.PUSH and not given.subscribed,
    }
    return next((reason for reason, is_so in reasons.items() if is_so), None)


def _when(given: Situation) -> Outcome:
    if given.channel == Channel.EMAIL and given.wanted.digest:
        due = next_digest(given.created_at, given.wanted.quiet)
        if given.now < due:
            return Outcome(Decision.PENDING, Reason.DIGEST, due)
    end = end_of_quiet_hours(given.now, given.wanted.quiet)
    if end is not None:
        return Outcome(Decision.PENDING, Reason.QUIET_HOURS, end)
    if given.active and given.now - given.created_at < LONGEST_DELAY:
        return Outcome(Decision.PENDING, Reason.DEVICE_ACTIVE, given.now + ACTIVE_DELAY)
    return Outcome(Decision.PENDING, Reason.DUE, given.now)


def next_digest(after: datetime, quiet: QuietHours | None) -> datetime:
    """Return when the first digest after a time leaves, in the zone of the quiet hours, else in
    UTC. One that falls into them leaves at their end."""
    zone = ZoneInfo(quiet.zone) if quiet else ZoneInfo("UTC")
    local = after.astimezone(zone)
    due = _at(local, DIGEST_AT, zone)
    if due <= after:
        due = _at(local + timedelta(days=1), DIGEST_AT, zone)
    return end_of_quiet_hours(due, quiet) or due


def end_of_quiet_hours(now: datetime, quiet: QuietHours | None) -> datetime | None:
    """Return when the quiet hours end that there are now, or None. What counts is what the clocks
    of the zone show: an hour that summer time leaves out or repeats makes them shorter or longer,
    and an end that no clock shows is when the clocks have gone past it."""
    if quiet is None or quiet.start == quiet.end:
        return None
    zone = ZoneInfo(quiet.zone)
    local = now.astimezone(zone)
    shown = local.time()
    over_midnight = quiet.start > quiet.end
    if over_midnight:
        inside = shown >= quiet.start or shown < quiet.end
    else:
        inside = quiet.start <= shown < quiet.end
    if not inside:
        return None
    day = local + timedelta(days=1) if over_midnight and shown >= quiet.start else local
    end = _at(day, quiet.end, zone)
    # Clocks that show the end twice show it the first time before now, if now is between the two.
    return end if end > now else _at(day, quiet.end, zone, fold=1)


def _at(day: datetime, shown: time, zone: ZoneInfo, fold: int = 0) -> datetime:
    """Return when the clocks of a zone show a time on a day, in UTC. One that they leave out is
    read by the clock before the change, so it is as long after the change as the clocks skip."""
    return datetime.combine(day.date(), shown, zone).replace(fold=fold).astimezone(UTC)
