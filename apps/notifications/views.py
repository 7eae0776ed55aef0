"""Notifications over HTTP."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.decorators import action

from apps.accounts.errors import SessionOver
from apps.accounts.requests import UserRequest
from apps.core.http.endpoints import Endpoint
from apps.core.http.pagination import Listing, ListQuery
from apps.core.http.viewsets import ApiViewSet
from apps.notifications import push_subscriptions, selectors, services, vapid
from apps.notifications.errors import NothingToChange, NotificationNotFound
from apps.notifications.models import Delivery, Notification, Preferences, PushSubscription
from apps.notifications.serializers import (
    DeliveryOutput,
    NotificationOutput,
    NotificationQuery,
    NotificationsReadInput,
    NotificationsReadOutput,
    PreferencesInput,
    PreferencesOutput,
    PushKeyOutput,
    PushSubscriptionInput,
    PushSubscriptionOutput,
    UnreadOutput,
)
from apps.realtime.snapshots import USER_STREAM


class NotificationViewSet(ApiViewSet):
    """What a user is told, and what they want to be told."""

    @Endpoint(
        message="Notifications retrieved successfully",
        query=NotificationQuery,
        output=NotificationOutput,
        per_page=10,
        streams=USER_STREAM,
    )
    def list(self, request: UserRequest, **filters: Any) -> Listing[Notification]:
        """List one's notifications, the newest first."""
        found = selectors.notification_list(request.user, **filters)
        return Listing(found, columns=selectors.with_actors)

    @action(detail=False, methods=["post"])
    @Endpoint(
        message="Notifications marked as read",
        input=NotificationsReadInput,
        output=NotificationsReadOutput,
    )
    def read(self, request: UserRequest, **data: Any) -> services.MarkResult:
        """Mark one's notifications as read. What is pending of them is not sent any more."""
        return services.notifications_mark_read(request.user, **data)

    @action(detail=False, methods=["get"])
    @Endpoint(message="Unread notifications counted", output=UnreadOutput, streams=USER_STREAM)
    def unread(self, request: UserRequest) -> Mapping[str, int]:
        """Count the unread notifications."""
        return selectors.unread_count(request.user)

    @action(detail=False, methods=["get"])
    @Endpoint(message="Preferences retrieved", output=PreferencesOutput, revision="version")
    def preferences(self, request: UserRequest) -> Preferences:
        """Return what the user wants to be told, and how."""
        return selectors.preferences_of(request.user)

    @preferences.mapping.put
    @Endpoint(
        message="Preferences updated",
        input=PreferencesInput,
        output=PreferencesOutput,
        revision="version",
        refuses=[NothingToChange],
    )
    def preferences_update(self, request: UserRequest, **changes: Any) -> Preferences:
        """Change the given preferences."""
        return services.preferences_change(request.user, **changes)

    @action(detail=True, methods=["get"])
    @Endpoint(
        message="Deliveries retrieved successfully",
        query=ListQuery,
        output=DeliveryOutput,
        per_page=10,
        refuses=[NotificationNotFound],
    )
    def deliveries(self, request: UserRequest, pk: UUID) -> QuerySet[Delivery]:
        """List what became of a notification by each channel, and why."""
        return selectors.deliveries_of(request.user, pk)

    @action(detail=False, methods=["get"], url_path="push-key")
    @Endpoint(message="Key retrieved", output=PushKeyOutput, revision="public_key")
    def push_key(self, request: UserRequest) -> vapid.PushKey:
        """Return the key with which a browser subscribes to web push."""
        return vapid.push_key()

    @action(detail=False, methods=["get"], url_path="push-subscriptions")
    @Endpoint(
        message="Push subscriptions retrieved successfully",
        query=ListQuery,
        output=PushSubscriptionOutput,
        per_page=10,
    )
    def push_subscriptions(self, request: UserRequest) -> QuerySet[PushSubscription]:
        """List the user's browsers to which messages are pushed, the latest first."""
        return push_subscriptions.subscriptions_of(request.user.pk)

    @push_subscriptions.mapping.post
    @Endpoint(
        message="Push subscription stored",
        status=201,
        existing_status=200,
        input=PushSubscriptionInput,
        output=PushSubscriptionOutput,
        limit="push_subscription",
        refuses=[SessionOver],
    )
    def push_subscription_add(
        self, request: UserRequest, endpoint: str, keys: Mapping[str, str], **_: Any
    ) -> tuple[PushSubscription, bool]:
        """Have messages pushed to this browser, as long as the session is active. The body is what
        PushSubscription.toJSON() returns."""
        return push_subscriptions.subscription_add(
            request.user, session_id=request.auth.pk, endpoint=endpoint, keys=keys
        )

    @push_subscriptions.mapping.delete
    @Endpoint(message="Push subscription removed")
    def push_subscription_remove(self, request: UserRequest) -> None:
        """Push nothing more to the browser of this session."""
        push_subscriptions.subscription_remove(request.user, session_id=request.auth.pk)
