"""Posts as they are sent, for paths that are too hot for serializers. Tests hold each equal to the
serializer that OpenAPI is made from, once dumps() has made JSON of it."""

from typing import Any

from apps.accounts.shapes import user_shape

# The columns that the shapes need, besides those of the author.
POST_COLUMNS = (
    "id",
    "title",
    "slug",
    "author_id",
    "status",
    "view_count",
    "like_count",
    "comment_count",
    "tags",
    "version",
    "published_at",
    "created_at",
    "updated_at",
    "content",
)
EXCERPT = 200


def post_shape(post: Any, author: Any) -> dict[str, Any]:
    """Return what PostOutput shows of a post, or of a row with POST_COLUMNS."""
    return {**_common(post, author), "content": post.content}


def post_item_shape(post: Any, author: Any) -> dict[str, Any]:
    """Return what PostListItemOutput shows of a post, or of a row with POST_COLUMNS."""
    return {**_common(post, author), "excerpt": excerpt(post.content)}


def excerpt(content: str) -> str:
    """Return the beginning of a post."""
    return content if len(content) <= EXCERPT else f"{content[:EXCERPT]}…"


def _common(post: Any, author: Any) -> dict[str, Any]:
    return {
        "id": post.id,
        "title": post.title,
        "slug": post.slug,
        "authorId": post.author_id,
        "author": user_shape(author),
        "status": post.status,
        "viewCount": post.view_count,
        "likeCount": post.like_count,
        "commentCount": post.comment_count,
        "tags": post.tags,
        "version": post.version,
        "publishedAt": post.published_at,
        "createdAt": post.created_at,
        "updatedAt": post.updated_at,
    }
