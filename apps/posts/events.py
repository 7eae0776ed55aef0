"""What posts announce: `post_published` on the public feed."""

from apps.posts.models import Post
from apps.posts.serializers import PostListItem
from apps.realtime import registry
from apps.realtime.log import Announcement, publish

FEED = "feed"

registry.stream(FEED, lambda user_id, rest: rest == "")


def post_published(post: Post) -> None:
    """Tell those who follow the feed that a post is public now."""
    publish([Announcement(FEED, "post_published", {"post": PostListItem.show(post)}, post.pk)])
