"""What posts keep of a user: their posts, and what they viewed within the last hours."""

from collections.abc import Mapping
from uuid import UUID

from apps.core.features import PersonalData
from apps.posts.models import Post, PostView
from apps.posts.purging import posts_remove

REMOVED_AT_ONCE = 500
EXPORTED = (
    "id",
    "title",
    "content",
    "slug",
    "status",
    "tags",
    "view_count",
    "published_at",
    "created_at",
    "updated_at",
    "deleted_at",
)


def _erase(user_id: UUID, _: UUID) -> Mapping[str, int]:
    posts = 0
    while part := Post.objects.filter(author=user_id).values_list("pk", flat=True)[
        :REMOVED_AT_ONCE
    ]:
        posts += posts_remove(Post.objects.filter(pk__in=list(part)))
    views, _counts = PostView.objects.filter(viewer=str(user_id)).delete()
    return {"posts": posts, "views": views}


PERSONAL_DATA = PersonalData(
    fields={"posts.Post.author"},
    exports={
        "posts": lambda user_id: (
            Post.objects.filter(author=user_id).order_by("pk").values(*EXPORTED)
        )
    },
    erase=_erase,
)
