"""Notifications in the admin pages: moderators see what became of each and why, and not what it
tells, which may quote messages."""

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apps.accounts.admin_users import ByUser, user_link
from apps.core.admin import ReadOnlyAdmin
from apps.notifications.models import Delivery, Notification


class ByRecipient(ByUser):
    """Shows what one user was told."""

    title = parameter_name = "recipient"


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """What users were told, the newest first."""

    list_display = ("type", "to", "category", "count", "read_at", "created_at")
    list_filter = (ByRecipient,)
    list_select_related = ("recipient",)
    ordering = ("-id",)
    fields = (
        *("type", "category", "recipient", "actor", "count", "read_at", "created_at"),
        "deliveries",
    )

    @admin.display(description="recipient")
    def to(self, notification: Notification) -> SafeString:
        """Return a link to the page of the recipient."""
        return user_link(notification.recipient)

    @admin.display
    def deliveries(self, notification: Notification) -> SafeString:
        """Return what became of it by each channel, a line for each."""
        found = Delivery.objects.filter(notification=notification).order_by("pk")
        return format_html_join(
            "",
            "{} {}: {}, {}<br>",
            (
                (f"{one.at:%Y-%m-%d %H:%M:%S}", one.channel, one.decision, one.reason)
                for one in found
            ),
        )
