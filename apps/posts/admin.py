"""Posts in the admin pages: moderators read, delete and restore them."""

from collections.abc import Collection, Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.accounts.admin_users import ByUser, user_link
from apps.core.admin import ReadOnlyAdmin, confirmed
from apps.posts.models import Post
from apps.posts.services import post_delete, post_restore


class ByAuthor(ByUser):
    """Shows the posts of one author."""

    title = parameter_name = "author"


class Deleted(admin.SimpleListFilter):
    """Shows the deleted posts instead of the others."""

    title = parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choice that differs from the default."""
        return [("yes", "Deleted")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Return both choices; a list of all posts, deleted or not, is none."""
        default, *others = super().choices(changelist)
        yield {**default, "display": "Not deleted"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the deleted posts, or the others."""
        return queryset.filter(deleted_at__isnull=not self.value())


@admin.register(Post)
class PostAdmin(ReadOnlyAdmin):
    """The posts, deleted ones by choice."""

    list_display = ("title", "by", "status", "view_count", "created_at")
    list_filter = (Deleted, "status", ByAuthor)
    list_select_related = ("author",)
    search_fields = ("title",)
    fields = (
        *("title", "author", "status", "tags", "content", "slug", "view_count"),
        *("published_at", "created_at", "updated_at", "deleted_at"),
    )
    actions = ("delete_posts", "restore")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the newest first, of deleted posts those that were deleted last."""
        return ("-deleted_at", "-id") if request.GET.get(Deleted.parameter_name) else ("-id",)

    @admin.action(description="Delete", permissions=["view"])
    @confirmed("Nobody can read them any more, until a moderator restores them.")
    def delete_posts(self, request: HttpRequest, posts: QuerySet[Post]) -> None:
        """Delete posts as a moderator does through the API."""
        actor = self.actor(request)
        self.each(request, posts, lambda post: post_delete(actor, post_id=post.pk), "is deleted")

    @admin.action(description="Restore", permissions=["view"])
    def restore(self, request: HttpRequest, posts: QuerySet[Post]) -> None:
        """Make deleted posts what they were before."""
        actor = self.actor(request)
        self.each(request, posts, lambda post: post_restore(actor, post_id=post.pk), "is restored")

    @admin.display(description="author")
    def by(self, post: Post) -> SafeString:
        """Return a link to the page of the author."""
        return user_link(post.author)

    def actions_of(self, request: HttpRequest, row: Post) -> Collection[str]:
        """Return the action that changes the post."""
        return ["restore" if row.deleted_at else "delete_posts"]

    def list_query(self, row: Post) -> str:
        """Return the query of the list that has the post."""
        return "?deleted=yes" if row.deleted_at else ""
