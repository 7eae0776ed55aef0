"""What the admin's lists need to show the rows of a user, and the user of a row."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.accounts.models import User


class ByUser(admin.SimpleListFilter):
    """Shows the rows of one user. It appears when the page of a user has linked to the list: a list
    cannot offer all users."""

    title = parameter_name = "user"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the user whose rows the list shows."""
        chosen = self._chosen()
        if chosen is None:
            return []
        user = User.objects.filter(pk=chosen).first()
        return [(str(chosen), user.name if user else "nobody")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the chosen user."""
        chosen = self._chosen()
        return queryset if chosen is None else queryset.filter(**{self.parameter_name: chosen})

    def _chosen(self) -> UUID | None:
        try:
            return UUID(self.value() or "")
        except ValueError:
            return None


def user_link(user: User) -> SafeString:
    """Return a link with the name of a user to their page."""
    page = reverse("admin:accounts_user_change", args=[user.pk])
    return format_html('<a href="{}">{}</a>', page, user.name)
