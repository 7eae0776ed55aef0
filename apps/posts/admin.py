"""Posts in the admin pages: moderators read and delete them."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.core.admin import ReadOnlyAdmin
from apps.posts.models import Post
from apps.posts.services import post_delete


@admin.register(Post)
class PostAdmin(ReadOnlyAdmin):
    """The posts that are not deleted."""

    list_display = ("title", "author", "status", "view_count", "created_at")
    list_filter = ("status",)
    list_select_related = ("author",)
    search_fields = ("title",)
    ordering = ("-id",)
    show_full_result_count = False
    actions = ("delete_posts",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Post]:
        """Return all posts but deleted ones."""
        return super().get_queryset(request).filter(deleted_at=None)

    @admin.action(description="Delete", permissions=["view"])
    def delete_posts(self, request: HttpRequest, posts: QuerySet[Post]) -> None:
        """Delete posts as a moderator does through the API."""
        for post in posts:
            post_delete(self.actor(request), post_id=post.pk)
            self.message_user(request, f"“{post.title}” is deleted.")
