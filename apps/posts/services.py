"""Writes of posts.

Lock order: the post's row, its slugs, kept answers by id, then the stream of the feed.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import require
from apps.core.http import idempotency
from apps.core.http.conditional import require_match
from apps.core.kept import drop_when_committed
from apps.posts import events
from apps.posts.errors import (
    AlreadyPublished,
    NothingToChange,
    NotYourPostToDelete,
    NotYourPostToPublish,
    NotYourPostToUpdate,
    PostChanged,
    PostNotFound,
    PublishedCannotBecomeDraft,
)
from apps.posts.models import POSTS_TAG, Post, post_tag
from apps.posts.policies import may_change_status, may_delete, may_edit, visible_to
from apps.posts.slugs import claim_slug, slug_of

# What a kept answer to the author shows of a deleted post.
REDACTED_POST = {"title": "", "slug": "", "content": "", "tags": []}


@transaction.atomic
def post_create(
    actor: User,
    *,
    title: str,
    content: str,
    status: str = Post.Status.DRAFT,
    tags: Sequence[str] = (),
) -> Post:
    """Create a post and return it; announce it if it is published."""
    post = Post(author=actor, title=title, content=content, tags=list(tags))
    # The slug refers to a row that is inserted later: foreign keys are checked at the commit.
    post.slug = claim_slug(post)
    if status == Post.Status.PUBLISHED:
        _publish(post)
    post.save(force_insert=True)
    _announce(post, first_time=post.published_at is not None)
    _drop_kept(post)
    return post


@transaction.atomic
def post_update(
    actor: User,
    *,
    post_id: UUID,
    title: str | None = None,
    content: str | None = None,
    status: str | None = None,
    tags: Sequence[str] | None = None,
    version: int | None = None,
    if_match: str = "",
) -> Post:
    """Change the given fields of a post and return it.

    Raises PostNotFound, NotYourPostToUpdate, PreconditionFailed for a stale If-Match, PostChanged
    for a stale version, NothingToChange or PublishedCannotBecomeDraft. Only the given fields are
    written, so that a concurrent change of the view count is not overwritten.
    """
    post = _locked(actor, post_id)
    require(may_edit(actor, post), NotYourPostToUpdate)
    require_match(if_match, str(post.version))
    if version is not None and version != post.version:
        raise PostChanged
    given = {"title": title, "content": content, "tags": tags, "status": status}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise NothingToChange
    if status is not None and not may_change_status(post, status):
        raise PublishedCannotBecomeDraft
    first_time = status == Post.Status.PUBLISHED and post.published_at is None
    renamed = title is not None and slug_of(title) != slug_of(post.title)
    for name, value in changes.items():
        setattr(post, name, value)
    if renamed:
        post.slug = claim_slug(post)
    if first_time:
        _publish(post)
    _save_edit(post, [*changes, "slug", "published_at"])
    _announce(post, first_time=first_time)
    return post


@transaction.atomic
def post_publish(actor: User, *, post_id: UUID) -> Post:
    """Publish a post; raise PostNotFound, NotYourPostToPublish or AlreadyPublished."""
    post = _locked(actor, post_id)
    require(may_edit(actor, post), NotYourPostToPublish)
    if post.status == Post.Status.PUBLISHED:
        raise AlreadyPublished
    first_time = post.published_at is None
    _publish(post)
    _save_edit(post, ["status", "published_at"])
    _announce(post, first_time=first_time)
    return post


@transaction.atomic
def post_delete(actor: User, *, post_id: UUID, if_match: str = "") -> None:
    """Delete a post, and redact it in the event log and in every kept answer; raise PostNotFound,
    NotYourPostToDelete or PreconditionFailed."""
    post = _locked(actor, post_id)
    require(may_delete(actor, post), NotYourPostToDelete)
    require_match(if_match, str(post.version))
    post.deleted_at = timezone.now()
    _save_edit(post, ["deleted_at"])
    idempotency.redact_answers([post.pk], {"data": REDACTED_POST})
    _announce(post, first_time=False)


def _locked(actor: User, post_id: UUID) -> Post:
    """Lock and return a post that the actor may see; raise PostNotFound."""
    posts = Post.objects.select_for_update(of=("self",)).select_related("author")
    post = posts.filter(visible_to(actor), pk=post_id, deleted_at=None).first()
    if post is None:
        raise PostNotFound
    return post


def _publish(post: Post) -> None:
    post.status = Post.Status.PUBLISHED
    post.published_at = post.published_at or timezone.now()


def _save_edit(post: Post, fields: Sequence[str]) -> None:
    post.version += 1
    post.updated_at = timezone.now()
    post.save(update_fields=[*fields, "version", "updated_at"])
    _drop_kept(post)


def _drop_kept(post: Post) -> None:
    """Let no process show the post, or a list without the change, any more."""
    if post.published_at is not None:
        drop_when_committed(post_tag(post.pk), POSTS_TAG)


def _announce(post: Post, *, first_time: bool) -> None:
    if first_time:
        events.post_published(post)
    elif post.published_at is not None:
        events.post_changed(post)
