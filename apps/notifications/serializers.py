"""Notifications on the wire."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from rest_framework import serializers

from apps.accounts.serializers import UserOutput
from apps.core.http.pagination import ListQuery
from apps.core.serializers import CamelSerializer, Identifier, ShortList, Text, TrueOrFalse
from apps.notifications.categories import categories
from apps.notifications.models import Channel, Delivery, Preferences
from apps.notifications.push_endpoints import LONGEST_ENDPOINT
from apps.notifications.unsubscribe_links import LONGEST_TOKEN

MOST_IDS = 500


class NotificationQuery(ListQuery):
    unread = serializers.BooleanField(required=False, help_text="Only those that are unread.")


class NotificationOutput(CamelSerializer):
    """A notification, to its recipient."""

    id = serializers.UUIDField()
    type = serializers.CharField()
    category = serializers.CharField()
    title = serializers.CharField()
    body = serializers.CharField(allow_blank=True)
    url = serializers.CharField(allow_blank=True, help_text="A path, empty for nothing to open.")
    actor = UserOutput(allow_null=True)
    count = serializers.IntegerField(min_value=1, help_text="How many things it tells together.")
    data = serializers.DictField(  # type: ignore[assignment]
        help_text="What depends on the type."
    )
    read_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class NotificationPayload(CamelSerializer):
    notification = NotificationOutput()


class NotificationsReadPayload(CamelSerializer):
    notification_ids = serializers.ListField(child=serializers.UUIDField())
    read_at = serializers.DateTimeField()


class SomeNotificationsReadInput(CamelSerializer):
    """Some notifications by id."""

    ids = ShortList(child=Identifier(), min_length=1, max_length=MOST_IDS)


class AllNotificationsReadInput(CamelSerializer):
    """All notifications."""

    all = serializers.ChoiceField([True])


class NotificationsReadInput(CamelSerializer):
    """Some notifications by id, or all."""

    variants = (SomeNotificationsReadInput, AllNotificationsReadInput)

    ids = ShortList(child=Identifier(), min_length=1, max_length=MOST_IDS, required=False)
    all = serializers.BooleanField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require one of the two."""
        if ("ids" in attrs) == attrs.get("all", False):
            raise serializers.ValidationError({"ids": "Send either ids, or all: true."})
        return {"ids": attrs.get("ids")}


class NotificationsReadOutput(CamelSerializer):
    updated = serializers.IntegerField()
    remaining = serializers.BooleanField(
        help_text="True when there are too many for one call: repeat it."
    )


class UnreadOutput(CamelSerializer):
    total = serializers.IntegerField()


class DeliveryOutput(CamelSerializer):
    """What became of a notification by one channel, and why."""

    channel = serializers.ChoiceField(Channel.choices)
    decision = serializers.ChoiceField(Delivery.Decision.choices)
    reason = serializers.ChoiceField(Delivery.Reason.choices)
    at = serializers.DateTimeField(help_text="When it was decided.")


class ClockTime(serializers.RegexField):
    """A time of a day, such as 22:00."""

    def __init__(self) -> None:
        super().__init__(r"^([01][0-9]|2[0-3]):[0-5][0-9]$", min_length=5, max_length=5)


class QuietHours(CamelSerializer):
    """The time of each day in which no mail and no push message leaves."""

    from_ = ClockTime()
    to = ClockTime()
    timezone = Text(min_length=1, max_length=64, help_text="Such as Europe/Berlin.")

    def validate_timezone(self, value: str) -> str:
        """Refuse what is no time zone."""
        if value not in available_timezones():
            raise serializers.ValidationError("There is no such time zone.", code="unknown")
        return value


class PreferencesInput(CamelSerializer):
    """At least one field."""

    rule = {"minProperties": 1}

    email_enabled = TrueOrFalse(required=False)
    push_enabled = TrueOrFalse(required=False)
    websocket_enabled = TrueOrFalse(required=False)
    digest = serializers.ChoiceField(Preferences.Digest.choices, required=False)
    categories = serializers.DictField(
        child=TrueOrFalse(),
        required=False,
        help_text="Whether to be told of each category. Those that are not named stay as they are.",
    )
    email_categories = serializers.DictField(
        child=TrueOrFalse(),
        required=False,
        help_text="Whether to be mailed of each category.",
    )
    quiet_hours = QuietHours(required=False, allow_null=True)

    def validate_categories(self, value: Mapping[str, bool]) -> Mapping[str, bool]:
        """Refuse a category that there is not."""
        return _known(value)

    def validate_emailCategories(self, value: Mapping[str, bool]) -> Mapping[str, bool]:  # noqa: N802
        """Refuse a category that there is not."""
        return _known(value)


def _known(given: Mapping[str, bool]) -> Mapping[str, bool]:
    if unknown := sorted(given.keys() - categories().keys()):
        sentence = f"The categories are {', '.join(sorted(categories()))}."
        raise serializers.ValidationError(
            {name: serializers.ErrorDetail(sentence, "unknown") for name in unknown}
        )
    return given


class UnsubscribeInput(CamelSerializer):
    token = Text(min_length=1, max_length=LONGEST_TOKEN)


class PreferencesOutput(CamelSerializer):
    """What a user wants to be told, and how."""

    email_enabled = serializers.BooleanField()
    push_enabled = serializers.BooleanField()
    websocket_enabled = serializers.BooleanField()
    digest = serializers.ChoiceField(Preferences.Digest.choices)
    categories = serializers.DictField(child=serializers.BooleanField())
    email_categories = serializers.DictField(child=serializers.BooleanField())
    quiet_hours = QuietHours(allow_null=True)


class PushKeysInput(CamelSerializer):
    """The keys of a browser, as base64url."""

    p256dh = Text(min_length=1, max_length=100)
    auth = Text(min_length=1, max_length=32)


class PushSubscriptionInput(CamelSerializer):
    """What a browser returns as PushSubscription.toJSON()."""

    endpoint = Text(min_length=1, max_length=LONGEST_ENDPOINT)
    expiration_time = serializers.FloatField(
        required=False, allow_null=True, help_text="Not kept: push services say what has ended."
    )
    keys = PushKeysInput()


class PushSubscriptionOutput(CamelSerializer):
    """A browser to which messages are pushed."""

    id = serializers.UUIDField()
    endpoint = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_sent_at = serializers.DateTimeField(
        allow_null=True, help_text="When its push service last took a message."
    )


class PushKeyOutput(CamelSerializer):
    """The key that a browser needs to subscribe."""

    public_key = serializers.CharField(
        help_text="A point on the curve P-256, as base64url: the `applicationServerKey`."
    )
