"""The events of posts, on the public feed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.posts.models import Post
from apps.posts.serializers import PostListItemOutput, PostPublishedPayload
from apps.realtime.event_log import publish, redact
from apps.realtime.server_frames import Event
from apps.realtime.streams import StreamType, everybody

# What the event log keeps of a post that is no longer public.
REDACTED_LIST_ITEM = {"title": "", "slug": "", "excerpt": "", "tags": []}

FEED = StreamType(
    prefix="feed",
    description="Published posts, which everyone may read. Every user may subscribe.",
    readers=everybody,
)


@dataclass(frozen=True, kw_only=True)
class PostPublished(Event):
    """A post is public now."""

    type = "post_published"
    stream = FEED
    payload = PostPublishedPayload

    post: Mapping[str, Any]


def posts_published(posts: Iterable[Post]) -> None:
    """Tell the subscribers of the feed that posts are public now."""
    publish(*(PostPublished(post=PostListItemOutput.dump(one), subject=one.pk) for one in posts))


def posts_changed(posts: Iterable[Post]) -> None:
    """Overwrite the logged events of posts with what everyone may read of the posts now."""
    redact({post.pk: {"post": _public(post)} for post in posts})


def _public(post: Post) -> Mapping[str, Any]:
    public = post.status == Post.Status.PUBLISHED and post.deleted_at is None
    return PostListItemOutput.dump(post) if public else REDACTED_LIST_ITEM
