"""The declaration of posts."""

from apps.core.features import Feature
from apps.posts.demo import demo
from apps.posts.models import Post
from apps.posts.personal_data import PERSONAL_DATA
from apps.posts.purging import POSTS_PURGE
from apps.posts.selectors import count_by_status
from apps.posts.view_counts import view_counter, views_prune
from apps.posts.views import PostViewSet

FEATURE = Feature(
    routes={"posts": PostViewSet},
    limits={"create_post": 10},
    prunes={"views": views_prune},
    purges={"deleted posts": POSTS_PURGE},
    counts={"posts": count_by_status},
    personal_data=PERSONAL_DATA,
    at_stop=[view_counter.flush],
    enums={"PostStatus": Post.Status},
    notification_categories={
        "posts": "Posts of users whom one follows",
        "comments": "Comments on one's posts",
        "likes": "Likes of one's posts",
    },
    demo=demo,
)
