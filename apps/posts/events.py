"""What posts announce: `post_published` on the public feed."""

from apps.posts.models import Post
from apps.posts.serializers import PostListItemOutput
from apps.realtime import registry
from apps.realtime.log import Announcement, publish, redact

FEED = "feed"
# What is left in the log of a post that is no longer public.
NOTHING = {"title": "", "slug": "", "excerpt": "", "tags": []}

registry.stream(FEED, lambda user_id, rest: rest == "")


def post_published(post: Post) -> None:
    """Tell those who follow the feed that a post is public now."""
    publish(
        [Announcement(FEED, "post_published", {"post": PostListItemOutput.show(post)}, post.pk)]
    )


def post_changed(post: Post) -> None:
    """Have the log tell of a post that it once announced what everybody may read of it now."""
    public = post.status == Post.Status.PUBLISHED and post.deleted_at is None
    redact([post.pk], {"post": PostListItemOutput.show(post) if public else NOTHING})
