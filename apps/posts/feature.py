"""The declaration of posts."""

from apps.core.features import Feature
from apps.posts.demo import demo
from apps.posts.models import Post
from apps.posts.view_counts import view_counter, views_prune
from apps.posts.views import PostViewSet

FEATURE = Feature(
    routes={"posts": PostViewSet},
    limits={"create_post": 10},
    prunes={"views": views_prune},
    at_stop=[view_counter.flush],
    enums={"PostStatus": Post.Status},
    demo=demo,
)
