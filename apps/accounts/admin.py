"""Accounts in the admin's pages: to look at, and to shut people out."""

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin  # noqa: F401
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.errors import MayNotSetStatus
from apps.accounts.models import User
from apps.accounts.services import user_set_status
from apps.core.admin import ReadOnlyAdmin

# Roles say what somebody may do here. Django's groups, whose page the import above has registered,
# would say nothing.
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """People, and who may come in."""

    list_display = ("name", "email", "role", "status", "created_at")
    list_filter = ("role", "status")
    search_fields = ("name", "email")
    ordering = ("-id",)
    exclude = ("password",)
    actions = ("suspend", "ban", "let_in")

    @admin.action(description="Suspend: out at once, on every device", permissions=["view"])
    def suspend(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Shut people out, until a moderator lets them in."""
        self._set_status(request, users, User.Status.SUSPENDED)

    @admin.action(description="Ban: out at once, and for good", permissions=["ban"])
    def ban(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Shut people out, until an administrator lets them in."""
        self._set_status(request, users, User.Status.BANNED)

    @admin.action(description="Let in again", permissions=["view"])
    def let_in(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Let people in again."""
        self._set_status(request, users, User.Status.ACTIVE)

    def has_ban_permission(self, request: HttpRequest) -> bool:
        """Return whether the action is offered; whom it may be done to, the service decides."""
        return bool(self.actor(request).role == User.Role.ADMIN)

    def _set_status(self, request: HttpRequest, users: QuerySet[User], status: str) -> None:
        for user in users:
            try:
                user_set_status(self.actor(request), user=user, status=status)
            except MayNotSetStatus:
                refusal = f"You may not do this to {user.name}, who is {user.status}."
                self.message_user(request, refusal, messages.ERROR)
            else:
                self.message_user(request, f"{user.name} is {status}.")
