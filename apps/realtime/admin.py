"""Websockets in the admin pages: administrators see what happened to each."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apps.core.admin import ReadOnlyAdmin
from apps.realtime.closing import CODES
from apps.realtime.models import SocketTimeline


@admin.register(SocketTimeline)
class SocketTimelineAdmin(ReadOnlyAdmin):
    """The websockets of the last day, the newest first."""

    list_display = ("id", "user", "address", "opened_at", "closed_at", "why")
    list_filter = ("code",)
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email")
    ordering = ("-id",)
    fields = (
        *("id", "user", "address", "user_agent", "opened_at", "timeline"),
        *("numbers_sent", "closed_at", "why", "written_at"),
    )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Show them to administrators only: they say from where and when a user was online."""
        return getattr(request.user, "role", "") == "admin"

    @admin.display(description="closed with")
    def why(self, row: SocketTimeline) -> str:
        """Return the code with which it was closed, and what that means."""
        if row.closed_at is None:
            return "open, or its process was killed"
        if row.code is None:
            return "the connection was lost"
        return f"{row.code} {CODES.get(row.code, 'by the client')}"

    @admin.display
    def timeline(self, row: SocketTimeline) -> SafeString:
        """Return its steps, a line for each."""
        return format_html_join("", "{} {} {}<br>", map(_shown, row.steps))

    @admin.display(description="last numbers sent")
    def numbers_sent(self, row: SocketTimeline) -> SafeString:
        """Return the last number of each stream, a line for each; known once it is closed."""
        return format_html_join("", "{} {}<br>", sorted(row.sent.items()))


def _shown(step: Mapping[str, Any]) -> tuple[str, str, str]:
    # Sorted, since PostgreSQL has an order of its own.
    details = sorted(step.keys() - {"at", "what"})
    return step["at"], step["what"], " ".join(f"{name}={step[name]}" for name in details)
