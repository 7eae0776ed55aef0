"""The tables of notifications: what users are told, what they want to be told, and what became of
each by each channel."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import Session
from apps.core.ids import uuid7
from apps.notifications.push_endpoints import LONGEST_ENDPOINT


class Channel(models.TextChoices):
    """A way by which a notification leaves."""

    WEBSOCKET = "websocket"
    EMAIL = "email"
    PUSH = "push"


class Notification(models.Model):
    """Something that one user is told. Ids sort by time, so lists are ordered by them."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="notifications",
        db_index=False,
    )
    category = models.CharField(max_length=32)
    type = models.CharField(max_length=64)
    title = models.CharField(max_length=500)
    body = models.CharField(max_length=1000, blank=True)
    # A path on this server, empty if there is nothing to open.
    url = models.CharField(max_length=500, blank=True)
    # Who did it.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    # How many things of one group it tells.
    count = models.PositiveIntegerField(default=1)
    data = models.JSONField(default=dict)
    # What it is about. A recipient is told once of each key.
    key = models.CharField(max_length=200)
    # What is told together while it is unread; empty for what is told alone.
    group_key = models.CharField(max_length=200, blank=True)
    read_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            # The key comes first, so that everybody's notifications of one thing are found by it.
            models.UniqueConstraint(fields=["key", "recipient"], name="notification_once"),
            models.UniqueConstraint(
                fields=["recipient", "group_key"],
                condition=Q(read_at=None) & ~Q(group_key=""),
                name="notification_unread_group",
            ),
            models.CheckConstraint(condition=Q(count__gte=1), name="notification_count"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["recipient", "-id"], name="notification_of_recipient"),
            models.Index(
                fields=["recipient", "id"],
                condition=Q(read_at=None),
                name="notification_unread",
            ),
            models.Index(fields=["created_at"], name="notification_created"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class CountedKey(models.Model):
    """A key that a notification of a group has counted already, so that it counts once."""

    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    key = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["recipient", "key"], name="counted_key_once")
        ]

    def __str__(self) -> str:
        return self.key


class Preferences(models.Model):
    """What a user wants to be told, and how. A user without a row has the defaults."""

    class Digest(models.TextChoices):
        """Whether mails about notifications come one by one, or together once a day."""

        OFF = "off"
        DAILY = "daily"

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="notification_preferences",
    )
    email_enabled = models.BooleanField(default=True)
    push_enabled = models.BooleanField(default=True)
    websocket_enabled = models.BooleanField(default=True)
    digest = models.CharField(max_length=10, choices=Digest, default=Digest.OFF)
    # The categories of which they are told nothing, and those of which they get no mail.
    categories_off = models.JSONField(default=list)
    email_categories_off = models.JSONField(default=list)
    # As the clocks of the zone show them, such as 22:00.
    quiet_from = models.CharField(max_length=5, null=True)  # noqa: DJ001
    quiet_to = models.CharField(max_length=5, null=True)  # noqa: DJ001
    timezone = models.CharField(max_length=64, default="UTC")
    # How often they were changed; 0 for the defaults, which have no row.
    version = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(digest__in=["off", "daily"]), name="notification_digest"
            ),
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_to=None)
                | Q(quiet_from__isnull=False, quiet_to__isnull=False),
                name="notification_quiet_hours",
            ),
        ]

    def __str__(self) -> str:
        return f"of {self.user_id}"


class Delivery(models.Model):
    """What became of a notification by one channel, and why."""

    class Decision(models.TextChoices):
        """What was decided. What is pending is decided again when it is due."""

        PENDING = "pending"
        SENT = "sent"
        SKIPPED = "skipped"
        CANCELLED = "cancelled"
        FAILED = "failed"

    class Reason(models.TextChoices):
        """Why. The names stay as they are, since clients show them."""

        SENT = "sent"
        DUE = "due"
        QUIET_HOURS = "quiet_hours"
        DEVICE_ACTIVE = "device_active"
        DIGEST = "digest"
        READ = "read"
        BLOCKED = "blocked"
        ACCOUNT_DISABLED = "account_disabled"
        CHANNEL_OFF = "channel_off"
        CATEGORY_OFF = "category_off"
        CATEGORY_EMAIL_OFF = "category_email_off"
        ADDRESS_UNVERIFIED = "address_unverified"
        NO_SUBSCRIPTION = "no_subscription"
        REFUSED = "refused"
        UNREACHABLE = "unreachable"

    notification = models.ForeignKey(
        Notification, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    channel = models.CharField(max_length=10, choices=Channel)
    decision = models.CharField(max_length=10, choices=Decision)
    reason = models.CharField(max_length=20, choices=Reason)
    # When it was decided.
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["notification", "channel"], name="delivery_once_a_channel"
            ),
            models.CheckConstraint(
                condition=Q(channel__in=["websocket", "email", "push"]), name="delivery_channel"
            ),
            models.CheckConstraint(
                condition=Q(decision__in=["pending", "sent", "skipped", "cancelled", "failed"]),
                name="delivery_decision",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.decision}, {self.reason}"


class PushSubscription(models.Model):
    """Where messages for a browser go, and the keys to which they are encrypted.

    It is that of a session, and good as long as the session is active: a user who logs in next at
    the browser is not shown what another one is told.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    session = models.ForeignKey(
        Session, on_delete=models.CASCADE, related_name="push_subscriptions"
    )
    endpoint = models.CharField(max_length=LONGEST_ENDPOINT)
    # Base64url, as the browser gives them.
    p256dh = models.CharField(max_length=100)
    auth = models.CharField(max_length=32)
    created_at = models.DateTimeField(default=timezone.now)
    # When a message was last taken, and how often none was since.
    last_sent_at = models.DateTimeField(null=True)
    failures = models.PositiveSmallIntegerField(default=0)
    # Until when no message is tried, because the last one was not taken.
    paused_until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            # An endpoint leads to one browser, which shows the messages of one user.
            models.UniqueConstraint(fields=["endpoint"], name="push_subscription_endpoint")
        ]

    def __str__(self) -> str:
        return f"of session {self.session_id}"
