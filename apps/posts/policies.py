"""Who may do what with a post. A viewer is a user, or None for a stranger."""

from django.db.models import Q

from apps.accounts.models import User
from apps.posts.models import Post


def visible_to(viewer: User | None) -> Q:
    """Return the condition on posts that the viewer may see: published ones, his own, and for
    moderators all."""
    if viewer is None:
        return Q(status=Post.Status.PUBLISHED)
    if viewer.is_moderator:
        return Q()
    return Q(status=Post.Status.PUBLISHED) | Q(author=viewer)


def may_edit(viewer: User, post: Post) -> bool:
    """Return whether the viewer may change or publish the post: only its author may."""
    return post.author_id == viewer.pk


def may_delete(viewer: User, post: Post) -> bool:
    """Return whether the viewer may delete the post: its author and moderators may."""
    return may_edit(viewer, post) or viewer.is_moderator


def may_change_status(post: Post, status: str) -> bool:
    """Return whether the post may go over to that status. What was public is never a draft again,
    since people have been told of it."""
    return status != Post.Status.DRAFT or post.published_at is None
