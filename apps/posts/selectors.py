"""Reads of posts."""

from uuid import UUID

from django.db.models import QuerySet

from apps.accounts.models import User
from apps.posts.errors import PostNotFound
from apps.posts.models import Post
from apps.posts.policies import visible_to


def posts_visible(
    viewer: User | None, *, status: str | None = None, author_id: UUID | None = None
) -> QuerySet[Post]:
    """Return the posts of a list, the newest first.

    Without a status the list has published posts only, except that authors see all of their own.
    """
    posts = _existing().filter(visible_to(viewer))
    if author_id is not None:
        posts = posts.filter(author_id=author_id)
    if status is not None:
        posts = posts.filter(status=status)
    elif viewer is None or author_id != viewer.pk:
        posts = posts.filter(status=Post.Status.PUBLISHED)
    return posts.order_by("-id")


def post_get(viewer: User | None, post_id: UUID) -> Post:
    """Return a post that the viewer may see; raise PostNotFound."""
    post = _existing().filter(visible_to(viewer)).filter(pk=post_id).first()
    if post is None:
        raise PostNotFound
    return post


def post_get_by_slug(viewer: User | None, slug: str) -> Post:
    """Return the post that has, or once had, the slug; raise PostNotFound."""
    post = _existing().filter(visible_to(viewer)).filter(slugs__slug=slug).first()
    if post is None:
        raise PostNotFound
    return post


def _existing() -> QuerySet[Post]:
    return Post.objects.filter(deleted_at=None).select_related("author")
