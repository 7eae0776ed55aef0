"""Users in the admin's pages: moderators view them and set their status."""

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin  # noqa: F401
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.errors import MayNotSetStatus
from apps.accounts.models import User
from apps.accounts.statuses import user_set_status
from apps.core.admin import ReadOnlyAdmin

# A user's role says what they may do here. Django's groups, whose page the import above has
# registered, would have no effect.
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """The page of users."""

    list_display = ("name", "email", "role", "status", "created_at")
    list_filter = ("role", "status")
    search_fields = ("name", "email")
    ordering = ("-id",)
    exclude = ("password",)
    actions = ("suspend", "ban", "reinstate")

    @admin.action(
        description="Suspend: end every session, until a moderator reinstates the user",
        permissions=["view"],
    )
    def suspend(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Suspend users, until a moderator reinstates them."""
        self._set_status(request, users, User.Status.SUSPENDED)

    @admin.action(
        description="Ban: end every session, until an administrator reinstates the user",
        permissions=["ban"],
    )
    def ban(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Ban users, until an administrator reinstates them."""
        self._set_status(request, users, User.Status.BANNED)

    @admin.action(description="Reinstate", permissions=["view"])
    def reinstate(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Let users log in again."""
        self._set_status(request, users, User.Status.ACTIVE)

    def has_ban_permission(self, request: HttpRequest) -> bool:
        """Return whether the page offers the action. The service decides for each user."""
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
