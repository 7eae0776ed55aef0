"""What becomes of a notification by each channel, and why: the whole table of decisions.

The clock is what each case says. Kept apart from the database: decide() is a function.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from apps.notifications.decisions import QuietHours, Situation, Wanted, decide

NIGHT = QuietHours(time(22), time(7), "Europe/Berlin")
LATE = QuietHours(time(22), time(10), "UTC")
OVERSEAS = QuietHours(time(22), time(7), "America/New_York")
SIESTA = QuietHours(time(13), time(15), "Europe/Madrid")
# Clocks in Berlin go from 2:00 to 3:00 on 29 March 2026, at 1:00 UTC, and from 3:00 back to 2:00 on
# 25 October 2026, at 1:00 UTC.
INSIDE_THE_CHANGE = QuietHours(time(1), time(2, 30), "Europe/Berlin")
FROM_THE_CHANGE = QuietHours(time(2, 30), time(4), "Europe/Berlin")
DAILY = Wanted(digest=True)


def at(text: str) -> datetime:
    """Return a time in UTC, such as `01-15 12:00` of 2026."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def off(*channels: str, **more: Any) -> Wanted:
    return Wanted(channels_off=channels, **more)


NOON = "01-15 12:00"
MUTED = Wanted(categories_off=["posts"])
NO_MAIL = Wanted(email_categories_off=["posts"])

# What it is, the channel, the time, what else is given, the decision, its reason, and when it is
# due.
CASES: list[tuple[str, str, str, dict[str, Any], str, str, str | None]] = [
    # Nothing was chosen.
    ("the defaults", "websocket", NOON, {}, "sent", "sent", None),
    ("the defaults", "email", NOON, {}, "pending", "due", NOON),
    ("the defaults", "push", NOON, {}, "pending", "due", NOON),
    # What was read elsewhere leaves no more, whatever else is so.
    ("read", "websocket", NOON, {"read": True}, "cancelled", "read", None),
    ("read", "email", NOON, {"read": True}, "cancelled", "read", None),
    ("read", "push", NOON, {"read": True}, "cancelled", "read", None),
    ("read, blocked", "email", NOON, {"read": True, "blocked": True}, "cancelled", "read", None),
    (
        "read, off",
        "email",
        NOON,
        {"read": True, "wanted": off("email")},
        "cancelled",
        "read",
        None,
    ),
    # A block ends all channels.
    ("blocked", "websocket", NOON, {"blocked": True}, "skipped", "blocked", None),
    ("blocked", "email", NOON, {"blocked": True}, "skipped", "blocked", None),
    ("blocked", "push", NOON, {"blocked": True}, "skipped", "blocked", None),
    (
        "blocked, category off",
        "email",
        NOON,
        {"blocked": True, "wanted": MUTED},
        "skipped",
        "blocked",
        None,
    ),
    # So does a suspended account.
    ("disabled", "websocket", NOON, {"disabled": True}, "skipped", "account_disabled", None),
    ("disabled", "email", NOON, {"disabled": True}, "skipped", "account_disabled", None),
    ("disabled", "push", NOON, {"disabled": True}, "skipped", "account_disabled", None),
    # A channel that is off.
    ("off", "websocket", NOON, {"wanted": off("websocket")}, "skipped", "channel_off", None),
    ("off", "email", NOON, {"wanted": off("email")}, "skipped", "channel_off", None),
    ("off", "push", NOON, {"wanted": off("push")}, "skipped", "channel_off", None),
    ("another is off", "email", NOON, {"wanted": off("push")}, "pending", "due", NOON),
    ("another is off", "push", NOON, {"wanted": off("email")}, "pending", "due", NOON),
    ("others are off", "websocket", NOON, {"wanted": off("email", "push")}, "sent", "sent", None),
    (
        "off, category too",
        "email",
        NOON,
        {"wanted": off("email", categories_off=["posts"])},
        "skipped",
        "channel_off",
        None,
    ),
    # A category that is off.
    ("category off", "websocket", NOON, {"wanted": MUTED}, "skipped", "category_off", None),
    ("category off", "email", NOON, {"wanted": MUTED}, "skipped", "category_off", None),
    ("category off", "push", NOON, {"wanted": MUTED}, "skipped", "category_off", None),
    (
        "another category",
        "email",
        NOON,
        {"wanted": MUTED, "category": "likes"},
        "pending",
        "due",
        NOON,
    ),
    # No mail of a category.
    ("no mail of it", "email", NOON, {"wanted": NO_MAIL}, "skipped", "category_email_off", None),
    ("no mail of it", "push", NOON, {"wanted": NO_MAIL}, "pending", "due", NOON),
    ("no mail of it", "websocket", NOON, {"wanted": NO_MAIL}, "sent", "sent", None),
    (
        "mail of another",
        "email",
        NOON,
        {"wanted": NO_MAIL, "category": "likes"},
        "pending",
        "due",
        NOON,
    ),
    # Where it would go.
    ("unverified", "email", NOON, {"verified": False}, "skipped", "address_unverified", None),
    ("unverified", "push", NOON, {"verified": False}, "pending", "due", NOON),
    ("unverified", "websocket", NOON, {"verified": False}, "sent", "sent", None),
    ("no browser", "push", NOON, {"subscribed": False}, "skipped", "no_subscription", None),
    ("no browser", "email", NOON, {"subscribed": False}, "pending", "due", NOON),
    ("no browser", "websocket", NOON, {"subscribed": False}, "sent", "sent", None),
    # An active device.
    ("active", "email", NOON, {"active": True}, "pending", "device_active", "01-15 12:05"),
    ("active", "push", NOON, {"active": True}, "pending", "device_active", "01-15 12:05"),
    ("active", "websocket", NOON, {"active": True}, "sent", "sent", None),
    (
        "active for 59 minutes",
        "email",
        NOON,
        {"active": True, "created_at": at("01-15 11:01")},
        "pending",
        "device_active",
        "01-15 12:05",
    ),
    (
        "active for an hour",
        "email",
        NOON,
        {"active": True, "created_at": at("01-15 11:00")},
        "pending",
        "due",
        NOON,
    ),
    (
        "active, unverified",
        "email",
        NOON,
        {"active": True, "verified": False},
        "skipped",
        "address_unverified",
        None,
    ),
    # Quiet hours past midnight, from 22:00 to 7:00, in winter one hour ahead of UTC.
    *(
        (f"a night, {clock}", channel, clock, {"wanted": Wanted(quiet=NIGHT)}, *outcome)
        for channel in ("email", "push")
        for clock, outcome in (
            ("01-15 20:59", ("pending", "due", "01-15 20:59")),
            ("01-15 21:00", ("pending", "quiet_hours", "01-16 06:00")),
            ("01-15 23:30", ("pending", "quiet_hours", "01-16 06:00")),
            ("01-16 05:59", ("pending", "quiet_hours", "01-16 06:00")),
            ("01-16 06:00", ("pending", "due", "01-16 06:00")),
        )
    ),
    (
        "a night",
        "websocket",
        "01-15 23:30",
        {"wanted": Wanted(quiet=NIGHT)},
        "sent",
        "sent",
        None,
    ),
    (
        "a night, active",
        "email",
        "01-15 23:30",
        {"wanted": Wanted(quiet=NIGHT), "active": True},
        "pending",
        "quiet_hours",
        "01-16 06:00",
    ),
    # In summer two hours ahead.
    *(
        (f"a summer night, {clock}", "email", clock, {"wanted": Wanted(quiet=NIGHT)}, *outcome)
        for clock, outcome in (
            ("07-15 19:59", ("pending", "due", "07-15 19:59")),
            ("07-15 20:00", ("pending", "quiet_hours", "07-16 05:00")),
            ("07-16 05:00", ("pending", "due", "07-16 05:00")),
        )
    ),
    # The nights in which the clocks change.
    *(
        (f"a change, {clock}", "email", clock, {"wanted": Wanted(quiet=NIGHT)}, *outcome)
        for clock, outcome in (
            ("03-28 21:30", ("pending", "quiet_hours", "03-29 05:00")),
            ("03-29 00:30", ("pending", "quiet_hours", "03-29 05:00")),
            ("03-29 01:30", ("pending", "quiet_hours", "03-29 05:00")),
            ("10-24 20:30", ("pending", "quiet_hours", "10-25 06:00")),
            ("10-25 00:30", ("pending", "quiet_hours", "10-25 06:00")),
            ("10-25 01:30", ("pending", "quiet_hours", "10-25 06:00")),
        )
    ),
    # Their end at 2:30 is a time that no clock shows, and half a year later one shown twice.
    *(
        (f"to 2:30, {clock}", "push", clock, {"wanted": Wanted(quiet=INSIDE_THE_CHANGE)}, *outcome)
        for clock, outcome in (
            ("03-29 00:30", ("pending", "quiet_hours", "03-29 01:30")),
            ("03-29 01:10", ("pending", "due", "03-29 01:10")),
            ("10-25 00:10", ("pending", "quiet_hours", "10-25 00:30")),
            ("10-25 00:40", ("pending", "due", "10-25 00:40")),
            ("10-25 01:10", ("pending", "quiet_hours", "10-25 01:30")),
        )
    ),
    *(
        (f"from 2:30, {clock}", "push", clock, {"wanted": Wanted(quiet=FROM_THE_CHANGE)}, *outcome)
        for clock, outcome in (
            ("03-29 00:59", ("pending", "due", "03-29 00:59")),
            ("03-29 01:10", ("pending", "quiet_hours", "03-29 02:00")),
            ("10-25 00:40", ("pending", "quiet_hours", "10-25 03:00")),
        )
    ),
    # Within one day, and none.
    (
        "a siesta",
        "push",
        "01-15 13:00",
        {"wanted": Wanted(quiet=SIESTA)},
        "pending",
        "quiet_hours",
        "01-15 14:00",
    ),
    (
        "before a siesta",
        "push",
        "01-15 11:59",
        {"wanted": Wanted(quiet=SIESTA)},
        "pending",
        "due",
        "01-15 11:59",
    ),
    (
        "after a siesta",
        "push",
        "01-15 14:00",
        {"wanted": Wanted(quiet=SIESTA)},
        "pending",
        "due",
        "01-15 14:00",
    ),
    (
        "no hours",
        "push",
        NOON,
        {"wanted": Wanted(quiet=QuietHours(time(7), time(7), "UTC"))},
        "pending",
        "due",
        NOON,
    ),
    # Digests, at 8:00.
    ("a digest", "email", NOON, {"wanted": DAILY}, "pending", "digest", "01-16 08:00"),
    ("a digest", "push", NOON, {"wanted": DAILY}, "pending", "due", NOON),
    ("a digest", "websocket", NOON, {"wanted": DAILY}, "sent", "sent", None),
    ("an early one", "email", "01-15 07:59", {"wanted": DAILY}, "pending", "digest", "01-15 08:00"),
    (
        "its time has come",
        "email",
        "01-16 08:00",
        {"wanted": DAILY, "created_at": at(NOON)},
        "pending",
        "due",
        "01-16 08:00",
    ),
    (
        "in their zone",
        "email",
        NOON,
        {"wanted": Wanted(digest=True, quiet=NIGHT)},
        "pending",
        "digest",
        "01-16 07:00",
    ),
    (
        "over the change",
        "email",
        "03-28 12:00",
        {"wanted": Wanted(digest=True, quiet=NIGHT)},
        "pending",
        "digest",
        "03-29 06:00",
    ),
    (
        "in quiet hours",
        "email",
        NOON,
        {"wanted": Wanted(digest=True, quiet=QuietHours(time(22), time(9), "UTC"))},
        "pending",
        "digest",
        "01-16 09:00",
    ),
    # What was changed while it waited.
    (
        "longer quiet hours",
        "email",
        "01-16 08:01",
        {"wanted": Wanted(digest=True, quiet=LATE), "created_at": at(NOON)},
        "pending",
        "digest",
        "01-16 10:00",
    ),
    (
        "another zone",
        "email",
        "01-16 08:01",
        {"wanted": Wanted(digest=True, quiet=OVERSEAS), "created_at": at("01-15 20:00")},
        "pending",
        "digest",
        "01-16 13:00",
    ),
    (
        "a digest turned off",
        "email",
        "01-16 08:01",
        {"created_at": at(NOON)},
        "pending",
        "due",
        "01-16 08:01",
    ),
    (
        "a digest turned on",
        "email",
        "01-15 12:05",
        {"wanted": DAILY, "created_at": at(NOON)},
        "pending",
        "digest",
        "01-16 08:00",
    ),
    (
        "read before the digest",
        "email",
        "01-16 08:00",
        {"wanted": DAILY, "created_at": at(NOON), "read": True},
        "cancelled",
        "read",
        None,
    ),
]


@pytest.mark.parametrize(
    ("channel", "clock", "given", "decision", "reason", "due"),
    [case[1:] for case in CASES],
    ids=[f"{case[0]} by {case[1]}" for case in CASES],
)
def test_what_becomes_of_a_notification(
    channel: str, clock: str, given: dict[str, Any], decision: str, reason: str, due: str | None
) -> None:
    now = at(clock)
    situation = {"channel": channel, "category": "posts", "now": now, "created_at": now, **given}
    outcome = decide(Situation(**situation))
    assert (outcome.decision, outcome.reason) == (decision, reason)
    assert outcome.not_before == (at(due) if due else None)


def test_the_table_has_sixty_cases_and_more() -> None:
    assert len(CASES) >= 60


def test_quiet_hours_end_whenever_they_are_asked_about() -> None:
    """Over a whole year, in steps of ten minutes, an end is later, and is no quiet hour itself."""
    now = at("01-01 00:00")
    for quiet in (NIGHT, SIESTA, INSIDE_THE_CHANGE, FROM_THE_CHANGE):
        for step in range(0, 365 * 24 * 6, 7):
            asked = now + timedelta(minutes=10 * step)
            outcome = decide(Situation("push", "posts", asked, asked, Wanted(quiet=quiet)))
            assert outcome.not_before is not None
            if outcome.reason == "quiet_hours":
                assert asked < outcome.not_before < asked + timedelta(hours=11)
