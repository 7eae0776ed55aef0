"""Who may do what with a post. A viewer is a user, or None for an anonymous user."""

from django.db.models import Q

from apps.accounts.models import User
from apps.posts.models import Post


def visible_to(viewer: User | None) -> Q:
    """Return the condition for posts that the viewer may see: published posts and their own;
    moderators see all."""
    if viewer is not None and viewer.is_moderator:
        return Q()
    return Q(status=Post.Status.PUBLISHED) | unpublished_visible_to(viewer)


def unpublished_visible_to(viewer: User | None) -> Q:
    """Return the condition for those posts that are not published which the viewer may see."""
    if viewer is None:
        return Q(pk__in=())
    return Q() if viewer.is_moderator else Q(author=viewer)


def is_public(post: Post) -> bool:
    """Return whether everyone may read the post."""
    return post.status == Post.Status.PUBLISHED and post.deleted_at is None


def may_see(viewer: User, post: Post) -> bool:
    """Return whether visible_to() holds for a user and a post."""
    return (
        post.status == Post.Status.PUBLISHED or post.author_id == viewer.pk or viewer.is_moderator
    )


def may_edit(actor: User, post: Post) -> bool:
    """Return whether the actor may change or publish the post: only its author may."""
    return post.author_id == actor.pk


def may_delete(actor: User, post: Post) -> bool:
    """Return whether the actor may delete the post: its author and moderators may."""
    return may_edit(actor, post) or actor.is_moderator


def may_restore(actor: User) -> bool:
    """Return whether the actor may restore deleted posts, which only moderators see."""
    return actor.is_moderator


def may_change_status(post: Post, status: str) -> bool:
    """Return whether the post may get that status. A post that was public cannot become a draft
    again, since it was announced to users."""
    return status != Post.Status.DRAFT or post.published_at is None
