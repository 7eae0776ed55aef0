"""Writes of posts.

Lock order: the post's row, its slugs, kept answers by id, jobs, then the stream of the feed.
"""

from collections.abc import Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.core.db.sql import insert_objects, update_objects
from apps.core.errors import DomainError, require
from apps.core.http import idempotency
from apps.core.http.conditional import require_match
from apps.core.kept import drop_when_committed
from apps.core.trace import trace
from apps.jobs.enqueuing import jobs_enqueue
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
from apps.posts.policies import (
    is_public,
    may_change_status,
    may_delete,
    may_edit,
    may_restore,
    may_see,
    visible_to,
)
from apps.posts.slugs import claim_other_slug, claim_slugs, slug_of
from apps.posts.tasks import tell_followers, withdraw_from_followers

# What an edit may change. The counts are not among it: they change concurrently.
EDITABLE = (
    "title",
    "content",
    "slug",
    "status",
    "tags",
    "version",
    "published_at",
    "updated_at",
    "deleted_at",
)
# What a trace calls the status of a deleted post.
DELETED = "deleted"
# What a kept answer to the author shows of a deleted post.
REDACTED_POST = {"title": "", "slug": "", "content": "", "tags": []}


@dataclass(frozen=True)
class NewPost:
    """A post to create."""

    author: User
    title: str
    content: str
    status: str = Post.Status.DRAFT
    tags: Sequence[str] = ()


@dataclass(frozen=True)
class PostChange:
    """What an actor changes of a post. A field that is None stays as it is.

    `version` and the If-Match header name the post that the actor has read.
    """

    actor: User
    post_id: UUID
    title: str | None = None
    content: str | None = None
    status: str | None = None
    tags: Sequence[str] | None = None
    version: int | None = None
    if_match: str = ""

    @property
    def fields(self) -> dict[str, Any]:
        """Return the new values by the names of their fields."""
        values = {name: getattr(self, name) for name in ("title", "content", "tags", "status")}
        return {name: value for name, value in values.items() if value is not None}


def post_create(actor: User, **given: Any) -> Post:
    """Create a post and return it; announce it if it is published. What is given are the fields of
    NewPost."""
    [post] = posts_create([NewPost(actor, **given)])
    return post


@transaction.atomic
def posts_create(new: Sequence[NewPost]) -> list[Post]:
    """Create posts in one transaction, with one statement for each table, and return them in their
    order; announce those that are published."""
    posts = [_made(one) for one in new]
    # A slug refers to a row that is inserted later: foreign keys are checked at the commit.
    claim_slugs(posts)
    insert_objects(posts)
    _drop_kept(posts)
    _announce_first(post for post in posts if post.published_at is not None)
    return posts


def _made(new: NewPost) -> Post:
    """Return a post as its row will be, but without a slug."""
    post = Post(author=new.author, title=new.title, content=new.content, tags=list(new.tags))
    if new.status == Post.Status.PUBLISHED:
        _publish(post)
    return post


def post_update(actor: User, *, post_id: UUID, **given: Any) -> Post:
    """Change the given fields of a post, which are those of PostChange, and return it.

    Raises PostNotFound, NotYourPostToUpdate, PreconditionFailed for a stale If-Match, PostChanged
    for a stale version, NothingToChange or PublishedCannotBecomeDraft.
    """
    [outcome] = posts_update([PostChange(actor, post_id, **given)])
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


@transaction.atomic
def posts_update(changes: Sequence[PostChange]) -> list[Post | DomainError]:
    """Make changes in one transaction, in their order; return for each the post as it was then, or
    why the change is refused."""
    posts = _locked_by_id({change.post_id for change in changes})
    announced = {post.pk for post in posts.values() if post.published_at is not None}
    outcomes: list[Post | DomainError] = []
    for change in changes:
        try:
            outcomes.append(copy(_update(change, posts.get(change.post_id))))
        except DomainError as refusal:
            outcomes.append(refusal)
    changed = {one.pk for one in outcomes if isinstance(one, Post)}
    edited = [post for pk, post in posts.items() if pk in changed]
    _save_edits(edited)
    _announce(edited, announced)
    return outcomes


def _update(change: PostChange, post: Post | None) -> Post:
    """Make a change of a locked post, which is not written yet, and return it; raise what
    post_update() raises."""
    if post is None or not may_see(change.actor, post):
        raise PostNotFound
    require(may_edit(change.actor, post), NotYourPostToUpdate)
    require_match(change.if_match, str(post.version))
    if change.version is not None and change.version != post.version:
        raise PostChanged
    fields = change.fields
    if not fields:
        raise NothingToChange
    if change.status is not None and not may_change_status(post, change.status):
        raise PublishedCannotBecomeDraft
    renamed = change.title is not None and slug_of(change.title) != slug_of(post.title)
    for name, value in fields.items():
        setattr(post, name, value)
    if renamed:
        claim_other_slug(post)
    if post.status == Post.Status.PUBLISHED:
        _publish(post)
    _count_edit(post)
    return post


@transaction.atomic
def post_publish(actor: User, *, post_id: UUID) -> Post:
    """Publish a post; raise PostNotFound, NotYourPostToPublish or AlreadyPublished."""
    post = _locked(actor, post_id)
    require(may_edit(actor, post), NotYourPostToPublish)
    if post.status == Post.Status.PUBLISHED:
        raise AlreadyPublished
    announced = {post.pk} if post.published_at is not None else set()
    _publish(post)
    _save_edit(post)
    _announce([post], announced)
    return post


@transaction.atomic
def post_delete(actor: User, *, post_id: UUID, if_match: str = "") -> None:
    """Delete a post, and redact it in the event log and in every kept answer; raise PostNotFound,
    NotYourPostToDelete or PreconditionFailed. What a moderator deletes leaves a trace."""
    post = _locked(actor, post_id)
    require(may_delete(actor, post), NotYourPostToDelete)
    require_match(if_match, str(post.version))
    post.deleted_at = timezone.now()
    _save_edit(post)
    idempotency.redact_answers({post.pk: {"data": REDACTED_POST}})
    if actor.is_moderator:
        trace(actor, post, status=(post.status, DELETED))
    if post.published_at is not None:
        _correct([post])


@transaction.atomic
def post_restore(actor: User, *, post_id: UUID) -> None:
    """Make a deleted post what it was before, also in the event log, and trace it; raise
    PostNotFound, to all but moderators too. Kept answers stay redacted."""
    require(may_restore(actor), PostNotFound)
    post = _locked(actor, post_id, deleted=True)
    post.deleted_at = None
    _save_edit(post)
    trace(actor, post, status=(DELETED, post.status))
    if post.published_at is not None:
        _correct([post])


def _locked(actor: User, post_id: UUID, *, deleted: bool = False) -> Post:
    """Lock and return a post that the actor may see; raise PostNotFound."""
    posts = Post.objects.select_for_update(of=("self",)).select_related("author")
    post = posts.filter(visible_to(actor), pk=post_id, deleted_at__isnull=not deleted).first()
    if post is None:
        raise PostNotFound
    return post


def _locked_by_id(ids: Iterable[UUID]) -> dict[UUID, Post]:
    """Lock and return those of the posts that exist, in the order of their ids."""
    posts = Post.objects.select_for_update(of=("self",)).select_related("author")
    found = posts.filter(pk__in=list(ids), deleted_at=None).order_by("pk")
    return {post.pk: post for post in found}


def _publish(post: Post) -> None:
    post.status = Post.Status.PUBLISHED
    post.published_at = post.published_at or timezone.now()


def _save_edit(post: Post) -> None:
    _count_edit(post)
    _save_edits([post])


def _count_edit(post: Post) -> None:
    post.version += 1
    post.updated_at = timezone.now()


def _save_edits(posts: Sequence[Post]) -> None:
    """Write changed posts, which are locked."""
    update_objects(posts, EDITABLE)
    _drop_kept(posts)


def _drop_kept(posts: Sequence[Post]) -> None:
    """Let no process show the posts, or a list without their changes, any more."""
    public = [post_tag(post.pk) for post in posts if post.published_at is not None]
    if public:
        drop_when_committed(*public, POSTS_TAG)


def _announce(posts: Iterable[Post], announced: Collection[UUID]) -> None:
    """Announce the posts that are public for the first time, and correct what was announced
    before."""
    known = [post for post in posts if post.published_at is not None]
    if changed := [post for post in known if post.pk in announced]:
        _correct(changed)
    _announce_first(post for post in known if post.pk not in announced)


def _correct(posts: Sequence[Post]) -> None:
    """Correct what was announced of changed posts: in the event log now, and by jobs what followers
    were told of those that are hidden, since there may be many."""
    hidden = [post for post in posts if not is_public(post)]
    jobs_enqueue((withdraw_from_followers, [str(post.pk)]) for post in hidden)
    events.posts_changed(posts)


def _announce_first(posts: Iterable[Post]) -> None:
    """Announce posts that are public for the first time: to the feed now, and to the followers of
    their authors by jobs, since there may be many."""
    public = list(posts)
    jobs_enqueue((tell_followers, [str(post.pk)]) for post in public)
    events.posts_published(public)
