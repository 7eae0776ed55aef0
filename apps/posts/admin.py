"""Posts in the admin's pages: to look at, and to delete."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.core.admin import ReadOnlyAdmin
from apps.posts.models import Post
from apps.posts.services import post_delete


@admin.register(Post)
class PostAdmin(ReadOnlyAdmin):
    """Posts that are not deleted."""

    list_display = ("title", "author", "status", "view_count", "created_at")
    list_filter = ("status",)
    list_select_related = ("author",)
    search_fields = ("title",)
    ordering = ("-id",)
    show_full_result_count = False
    actions = ("delete_posts",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Post]:
        """Leave deleted posts out."""
        return super().get_queryset(request).filter(deleted_at=None)

    @admin.action(description="Delete", permissions=["view"])
    def delete_posts(self, request: HttpRequest, posts: QuerySet[Post]) -> None:
        """Delete posts as a moderator does over the API."""
        for post in posts:
            post_delete(self.actor(request), post_id=post.pk)
            self.message_user(request, f"“{post.title}” is deleted.")
