"""Reads of posts."""

from collections import namedtuple
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import CharField, Count, QuerySet, UUIDField
from django.db.models.functions import Left

from apps.accounts.models import User
from apps.accounts.selectors import users_by_id
from apps.accounts.shapes import USER_COLUMNS
from apps.core.db.prepared import OneOf, Prepared
from apps.posts.errors import PostNotFound
from apps.posts.models import Post
from apps.posts.policies import may_see, unpublished_visible_to, visible_to
from apps.posts.shapes import EXCERPT, POST_COLUMNS

PostRow = namedtuple("PostRow", POST_COLUMNS)  # type: ignore[misc]
UserRow = namedtuple("UserRow", USER_COLUMNS)  # type: ignore[misc]


# The columns of a post in a list: as POST_COLUMNS, but of the content only as much as tells whether
# it is longer than its excerpt. Reading the whole content of each would take longer than the rest.
_ITEM_COLUMNS = tuple(name for name in POST_COLUMNS if name != "content")
_ITEM_FIELDS = (*_ITEM_COLUMNS, "content", "author")
PostItem = namedtuple("PostItem", _ITEM_FIELDS)  # type: ignore[misc]


def posts_visible(
    viewer: User | None, *, status: str | None = None, author_id: UUID | None = None
) -> QuerySet[Post]:
    """Return the posts of a list, the newest first.

    Without a status the list has published posts only, except that authors see all of their own.
    The conditions are no more than each list needs, so that one index has its posts in order, and
    their number.
    """
    own = viewer is not None and author_id == viewer.pk
    if status is None and not own:
        status = Post.Status.PUBLISHED
    posts = Post.objects.filter(deleted_at=None)
    if author_id is not None:
        posts = posts.filter(author_id=author_id)
    if status is not None:
        posts = posts.filter(status=status)
    if status != Post.Status.PUBLISHED and not own:
        posts = posts.filter(unpublished_visible_to(viewer))
    return posts.order_by("-id")


def post_item_columns(posts: QuerySet[Post]) -> QuerySet[Post, Any]:
    """Return the rows of posts in a list, for post_items()."""
    authors = (f"author__{name}" for name in USER_COLUMNS)
    return posts.annotate(beginning=Left("content", EXCERPT + 1)).values_list(
        *_ITEM_COLUMNS, "beginning", *authors, named=True
    )


def post_items(rows: Sequence[Any]) -> list[Any]:
    """Return PostItems of the rows that post_item_columns() reads."""
    columns = len(_ITEM_COLUMNS) + 1
    return [PostItem._make([*row[:columns], UserRow(*row[columns:])]) for row in rows]


def post_get(viewer: User | None, post_id: UUID) -> Post:
    """Return a post that the viewer may see; raise PostNotFound."""
    post = _existing().filter(visible_to(viewer)).filter(pk=post_id).first()
    if post is None:
        raise PostNotFound
    return post


def post_viewers(post_id: str, users: Collection[UUID]) -> Collection[UUID]:
    """Return those of the users who may see a post."""
    post = _existing().filter(pk=UUID(post_id)).first()
    if post is None:
        return ()
    if post.status == Post.Status.PUBLISHED:
        return users
    return {pk for pk, user in users_by_id(users).items() if may_see(user, post)}


def post_get_by_slug(viewer: User | None, slug: str) -> Post:
    """Return the post that has, or once had, the slug; raise PostNotFound."""
    post = _existing().filter(visible_to(viewer)).filter(slugs__slug=slug).first()
    if post is None:
        raise PostNotFound
    return post


def _existing() -> QuerySet[Post]:
    return Post.objects.filter(deleted_at=None).select_related("author")


class PublicPost(NamedTuple):
    """The columns of a published post and of its author that are shown."""

    post: Any
    author: Any


_SHOWN = (*POST_COLUMNS, *(f"author__{name}" for name in USER_COLUMNS))


_BY_IDS = Prepared(
    lambda: _public().filter(OneOf("pk", "ids", UUIDField())).values_list(*_SHOWN),
)
_BY_SLUGS = Prepared(
    lambda: (
        _public()
        # With the second condition it is an inner join, which SQLite begins with the slugs.
        .filter(OneOf("slugs__slug", "slugs", CharField()), slugs__slug__isnull=False)
        .values_list("slugs__slug", *_SHOWN)
    )
)


def _public() -> QuerySet[Post]:
    return _existing().filter(visible_to(None))


def public_posts(ids: Sequence[UUID]) -> Iterator[PublicPost]:
    """Return those of the posts that everyone may see."""
    return map(_public_post, _BY_IDS.all(ids=ids))


def public_posts_by_slug(slugs: Sequence[str]) -> Iterator[tuple[str, PublicPost]]:
    """Return the posts that everyone may see and that have, or once had, one of the slugs, each
    with that slug."""
    return ((slug, _public_post(row)) for slug, *row in _BY_SLUGS.all(slugs=slugs))


def _public_post(row: Sequence[Any]) -> PublicPost:
    columns = len(POST_COLUMNS)
    return PublicPost(PostRow(*row[:columns]), UserRow(*row[columns:]))


def count_by_status() -> dict[str, int]:
    """Return how many posts there are of each status, and how many are deleted."""
    posts = Post.objects.order_by()
    present = posts.filter(deleted_at=None).values_list("status").annotate(count=Count("pk"))
    return {**dict(present), "deleted": posts.exclude(deleted_at=None).count()}
