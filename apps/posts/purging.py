"""Removing posts for good, with their slugs: another post may have these then."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from apps.core.features import Purge
from apps.core.kept import drop_when_committed
from apps.core.trace import traces_redact
from apps.posts.models import POSTS_TAG, Post, post_tag


@transaction.atomic
def posts_remove(posts: QuerySet[Post]) -> int:
    """Remove posts, and what moderators' traces say of them, and return how many there were. This
    is an action of the system, without an actor."""
    ids = list(posts.order_by("pk").select_for_update().values_list("pk", flat=True))
    traces_redact([str(one) for one in ids])
    Post.objects.filter(pk__in=ids).delete()
    drop_when_committed(*map(post_tag, ids), POSTS_TAG)
    return len(ids)


def _deleted(before: datetime) -> QuerySet[Post]:
    return Post.objects.filter(deleted_at__lt=before)


POSTS_PURGE = Purge(found=_deleted, remove=posts_remove)
