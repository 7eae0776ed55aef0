"""Users, their sessions, and what moderators did, in the admin's pages."""

from collections.abc import Collection, Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin  # noqa: F401
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.accounts.admin_users import ByUser, user_link
from apps.accounts.models import Session, User
from apps.accounts.policies import may_end_session, may_set_role, may_set_status
from apps.accounts.roles import user_set_role
from apps.accounts.selectors import sessions_of
from apps.accounts.sessions import session_end_by_moderator
from apps.accounts.statuses import user_set_status
from apps.core.admin import ReadOnlyAdmin, confirmed

# A user's role says what they may do here. Django's groups, whose page the import above has
# registered, would have no effect.
admin.site.unregister(Group)

# How many sessions the page of a user shows, the last used first.
SESSIONS_SHOWN = 50

# The actions that set a status, and those that set a role.
STATUSES = {
    "suspend": User.Status.SUSPENDED,
    "ban": User.Status.BANNED,
    "reinstate": User.Status.ACTIVE,
}
ROLES = {
    "make_user": User.Role.USER,
    "make_moderator": User.Role.MODERATOR,
    "make_administrator": User.Role.ADMIN,
}


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """Moderators set the status of users, and administrators also their role."""

    change_form_template = "admin/user_page.html"
    list_display = ("name", "email", "role", "status", "created_at")
    list_filter = ("role", "status")
    search_fields = ("name", "email")
    ordering = ("-id",)
    fields = (
        *("name", "email", "email_verified", "role", "status"),
        *("bio", "relations", "lists", "created_at", "updated_at"),
    )
    actions = (*STATUSES, *ROLES)

    @admin.action(description="Suspend", permissions=["view"])
    @confirmed("They are logged out everywhere, until a moderator reinstates them.")
    def suspend(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Suspend users, until a moderator reinstates them."""
        self._set_status(request, users, User.Status.SUSPENDED)

    @admin.action(description="Ban", permissions=["administrate"])
    @confirmed("They are logged out everywhere, until an administrator reinstates them.")
    def ban(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Ban users, until an administrator reinstates them."""
        self._set_status(request, users, User.Status.BANNED)

    @admin.action(description="Reinstate", permissions=["view"])
    def reinstate(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Let users log in again."""
        self._set_status(request, users, User.Status.ACTIVE)

    @admin.action(description="Make plain user", permissions=["administrate"])
    @confirmed("They lose the rights of their role, and are logged out everywhere.")
    def make_user(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Take their rights from users."""
        self._set_role(request, users, User.Role.USER)

    @admin.action(description="Make moderator", permissions=["administrate"])
    @confirmed(
        "They may open these pages, suspend plain users, and delete and restore the posts of all. "
        "An administrator loses the rights of their role, and is logged out everywhere."
    )
    def make_moderator(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Make users moderators."""
        self._set_role(request, users, User.Role.MODERATOR)

    @admin.action(description="Make administrator", permissions=["administrate"])
    @confirmed("They may do everything here, also take the rights of the other administrators.")
    def make_administrator(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Make users administrators."""
        self._set_role(request, users, User.Role.ADMIN)

    def has_administrate_permission(self, request: HttpRequest) -> bool:
        """Return whether the page offers the action. The service decides for each user."""
        return bool(self.actor(request).role == User.Role.ADMIN)

    def actions_of(self, request: HttpRequest, row: User) -> Collection[str]:
        """Return the actions that the actor may take and that change the user."""
        actor = self.actor(request)
        statuses = [
            name
            for name, status in STATUSES.items()
            if status != row.status and may_set_status(actor, row, status)
        ]
        roles = [name for name, role in ROLES.items() if role != row.role]
        return [*statuses, *(roles if may_set_role(actor, row) else ())]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Add the sessions of the user to their page."""
        user = context["original"]
        context["sessions"] = sessions_of(user)[:SESSIONS_SHOWN]
        context["may_end_sessions"] = may_end_session(self.actor(request), user)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="follows and blocks")
    def relations(self, user: User) -> str:
        """Return how many users follow and block the user, and the other way round."""
        return (
            f"follows {user.follows.count()}, followed by {user.followers.count()}, "
            f"has blocked {user.blocks.count()}, blocked by {user.blocks_by_others.count()}"
        )

    @admin.display(description="see also")
    def lists(self, user: User) -> SafeString:
        """Return links to the lists that can show the rows of one user."""
        return format_html_join(", ", '<a href="{}">{}</a>', self._lists_by_user(user))

    def _lists_by_user(self, user: User) -> Iterator[tuple[str, str]]:
        for model, its_admin in self.admin_site._registry.items():
            for one in its_admin.list_filter:
                if isinstance(one, type) and issubclass(one, ByUser):
                    opts = model._meta
                    path = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
                    query = f"?{one.parameter_name}={user.pk}"
                    yield path + query, str(opts.verbose_name_plural).capitalize()

    def _set_status(self, request: HttpRequest, users: QuerySet[User], status: str) -> None:
        actor = self.actor(request)
        self.each(
            request,
            users,
            lambda user: user_set_status(actor, user=user, status=status),
            f"is {status}",
        )

    def _set_role(self, request: HttpRequest, users: QuerySet[User], role: str) -> None:
        actor = self.actor(request)
        self.each(
            request,
            users,
            lambda user: user_set_role(actor, user=user, role=role),
            f"has the role {role}",
        )


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    """The sessions of users. The page of a user shows the active ones."""

    list_display = ("device", "whose", "address", "last_used_at", "ended_at")
    list_filter = (ByUser,)
    list_select_related = ("user",)
    ordering = ("-id",)
    fields = (
        *("whose", "device", "address"),
        *("created_at", "last_used_at", "expires_at", "ended_at"),
    )
    actions = ("end",)

    @admin.action(description="End", permissions=["view"])
    @confirmed("The device is logged out, and its sockets are closed.")
    def end(self, request: HttpRequest, sessions: QuerySet[Session]) -> None:
        """End sessions."""
        actor = self.actor(request)
        self.each(
            request,
            sessions,
            lambda session: session_end_by_moderator(actor, session=session),
            "has ended",
        )

    @admin.display(description="device")
    def device(self, session: Session) -> str:
        """Return what the client called itself."""
        return session.device

    @admin.display(description="user")
    def whose(self, session: Session) -> SafeString:
        """Return a link to the page of the user."""
        return user_link(session.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Leave the list out of the index: the pages of users lead to it."""
        return False

    def actions_of(self, request: HttpRequest, row: Session) -> Collection[str]:
        """Return "end" for an active session that the actor may end."""
        may = row.ended_at is None and may_end_session(self.actor(request), row.user)
        return ["end"] if may else []


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """What moderators did, to what, and how it was before."""

    list_display = ("action_time", "who", "what", "change_message")
    list_select_related = ("user", "content_type")
    ordering = ("-id",)
    fields = ("action_time", "who", "what", "change_message")

    @admin.display(description="who")
    def who(self, entry: LogEntry) -> SafeString:
        """Return a link to the page of the actor."""
        return user_link(entry.user)

    @admin.display(description="what")
    def what(self, entry: LogEntry) -> str | SafeString:
        """Return a link to the row that was changed."""
        kind, url = entry.content_type, entry.get_admin_url()
        text = f"{kind.name if kind else ''} {entry.object_repr}"
        return format_html('<a href="{}">{}</a>', url, text) if url else text
