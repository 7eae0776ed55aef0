"""Accounts in the admin's pages: to look at, and to shut people out."""

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin  # noqa: F401
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.models import User
from apps.accounts.policies import may_shut_out
from apps.accounts.services import user_set_status
from apps.core.admin import ReadOnlyAdmin

# Roles say what somebody may do here. Django's groups, whose page the import above has registered,
# would say nothing.
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """People, with two actions."""

    list_display = ("name", "email", "role", "status", "created_at")
    list_filter = ("role", "status")
    search_fields = ("name", "email")
    ordering = ("-id",)
    exclude = ("password",)
    actions = ("suspend", "let_in")

    @admin.action(description="Suspend: out at once, on every device", permissions=["view"])
    def suspend(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Shut people out."""
        self._set_status(request, users, User.Status.SUSPENDED)

    @admin.action(description="Let in again", permissions=["view"])
    def let_in(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Let people in again."""
        self._set_status(request, users, User.Status.ACTIVE)

    def _set_status(self, request: HttpRequest, users: QuerySet[User], status: str) -> None:
        for user in users:
            if may_shut_out(self.actor(request), user):
                user_set_status(user=user, status=status)
                self.message_user(request, f"{user.name} is {status}.")
            else:
                refusal = f"You may not do this to {user.name}."
                self.message_user(request, refusal, messages.ERROR)
