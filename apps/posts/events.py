"""The events of posts, on the public feed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.posts.models import Post
from apps.posts.policies import is_public
from apps.posts.selectors import post_viewers
from apps.posts.serializers import PostListItemOutput, PostPublishedPayload
from apps.realtime.event_log import publish, redact
from apps.realtime.rooms import RoomType, room_hidden
from apps.realtime.server_frames import Event
from apps.realtime.streams import StreamType, everybody

# What the event log keeps of a post that is no longer public.
REDACTED_LIST_ITEM = {"title": "", "slug": "", "excerpt": "", "tags": []}

FEED = StreamType(
    prefix="feed",
    description="Published posts, which everyone may read. Every user may subscribe.",
    readers=everybody,
)

POST_ROOM = RoomType(prefix="post", viewers=post_viewers)


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
    """Overwrite the logged events of posts with what everyone may read of the posts now, and have
    those leave their rooms who may not see them any more."""
    changed = list(posts)
    redact({post.pk: {"post": _public(post)} for post in changed})
    for post in changed:
        if not is_public(post):
            room_hidden(POST_ROOM.name(post.pk))


def _public(post: Post) -> Mapping[str, Any]:
    return PostListItemOutput.dump(post) if is_public(post) else REDACTED_LIST_ITEM
