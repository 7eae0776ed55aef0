"""Posts, all slugs that they have or had, and their recent views."""

from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.core.ids import uuid7

# The tag of what depends on which posts are public.
POSTS_TAG = "posts"


class Post(models.Model):
    """A post of a user. A deleted post keeps its row and its slugs."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        PUBLISHED = "published"
        ARCHIVED = "archived"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="posts", db_index=False
    )
    title = models.CharField(max_length=255)
    content = models.TextField()
    slug = models.CharField(max_length=255, unique=True)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.DRAFT)
    tags = models.JSONField(default=list)
    view_count = models.PositiveBigIntegerField(default=0)
    like_count = models.PositiveIntegerField(default=0)
    comment_count = models.PositiveIntegerField(default=0)
    version = models.PositiveIntegerField(default=1)
    published_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(status__in=["draft", "published", "archived"]),
                name="post_status_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="published") | models.Q(published_at__isnull=False),
                name="post_published_has_its_time",
            ),
            models.CheckConstraint(condition=~models.Q(slug=""), name="post_slug_not_empty"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            # Ids sort by time, so these indexes serve "newest first" without a second column.
            models.Index(
                fields=["-id"],
                name="post_published_newest",
                condition=models.Q(status="published", deleted_at=None),
            ),
            models.Index(
                fields=["status", "-id"],
                name="post_unpublished_newest",
                condition=models.Q(deleted_at=None) & ~models.Q(status="published"),
            ),
            models.Index(
                fields=["author", "-id"],
                name="post_of_author_newest",
                condition=models.Q(deleted_at=None),
            ),
            models.Index(
                fields=["author", "status", "-id"],
                name="post_of_author_by_status",
                condition=models.Q(deleted_at=None),
            ),
            models.Index(
                fields=["-deleted_at", "-id"],
                name="post_deleted_newest",
                condition=models.Q(deleted_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.title


class PostSlug(models.Model):
    """A slug that a post has or had. No two posts ever share one, not even deleted posts."""

    slug = models.CharField(primary_key=True, max_length=255)
    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="slugs")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.slug


class PostView(models.Model):
    """A view of a post by a viewer in an hour; it is counted once."""

    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="+", db_index=False)
    viewer = models.CharField(max_length=64)
    hour = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["post", "viewer", "hour"], name="post_view_once_an_hour"
            )
        ]

    def __str__(self) -> str:
        return f"{self.viewer} viewed {self.post_id} at {self.hour}"


def post_tag(post_id: UUID) -> str:
    """Return the tag of what shows a post."""
    return f"post:{post_id}"
