"""View counts of posts: each viewer counts once an hour; authors and bots do not count.

Anonymous users are told apart by the network of their address alone. A client could vary everything
else, such as the browser's name, to make a post look popular.

A read must not wait for a write, so views gather in memory and are written together every few
seconds; a crash loses only those. While they cannot be written, views beyond MOST_PENDING are not
counted. Several processes may count the same viewer: the table's unique constraint decides which
of them counts.
"""

import hashlib
import re
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import User
from apps.core.addresses import network_of
from apps.core.db.sql import insert
from apps.core.write_behind import Bounds, WriteBehind
from apps.posts.models import Post, PostView

FLUSH_SECONDS = 2.0
# How many views may wait to be written (about 20 MB), and how many one transaction writes: SQLite
# refuses a statement with too many values, and would refuse it again at each try.
MOST_PENDING = 50_000
BATCH = 500
# How much of the browser's name is looked at, and remembered.
LONGEST_USER_AGENT = 512
# Of how many texts of requests it is remembered what they mean.
REMEMBERED = 2048

_BOT = re.compile(r"bot|crawl|externalhit|spider|slurp|preview|monitor|headless", re.IGNORECASE)

ViewKey = tuple[UUID, str, datetime]


class ViewCounter(WriteBehind[ViewKey, ViewKey]):
    """The views in this process that are not written yet."""

    name = "views"

    @property
    def bounds(self) -> Bounds:
        """Return the bounds."""
        return Bounds(FLUSH_SECONDS, MOST_PENDING, BATCH)

    def save(self, values: Sequence[ViewKey]) -> None:
        """Write views, in an order that all processes keep."""
        views_save(sorted(values))

    def record(self, post: Post, viewer: User | None, address: str, user_agent: str) -> None:
        """Record that a user, or an anonymous user, reads a post. Only published posts count."""
        if post.status == Post.Status.PUBLISHED:
            viewer_id = None if viewer is None else viewer.pk
            self.record_public(post.pk, post.author_id, viewer_id, address, user_agent)

    def record_public(
        self,
        post_id: UUID,
        author_id: UUID,
        viewer_id: UUID | None,
        address: str,
        user_agent: str,
    ) -> None:
        """Record that a user, or an anonymous user, reads a published post. It does not wait."""
        if viewer_id == author_id or _is_bot(user_agent[:LONGEST_USER_AGENT]):
            return
        viewer = str(viewer_id) if viewer_id is not None else _anonymous_viewer(address)
        view = (post_id, viewer, _hour(int(time.time()) // 3600))
        # One that waits already is to be written, by a flush at this moment too.
        if view not in self._waiting:
            self.put(view, view)


view_counter = ViewCounter()


@transaction.atomic
def views_save(views: list[ViewKey]) -> None:
    """Add the views that are not counted yet to the view counts of their posts.

    This is an action of the system. Every process locks posts in the order of their ids, so that
    no two processes deadlock. Views of a post that was removed with its author are skipped: they
    could never be written, and would block the others.

    No cache is told: a view count may be CACHE_SECONDS old, and to drop what many people read would
    cost more than to count it.
    """
    posts = Post.objects.filter(pk__in={post for post, _, _ in views}).order_by("pk")
    existing = set(posts.select_for_update(no_key=True).values_list("pk", flat=True))
    views = [view for view in views if view[0] in existing]
    if not views:
        return
    rows = insert(
        PostView, ("post", "viewer", "hour"), views, "ON CONFLICT DO NOTHING RETURNING post_id"
    )
    by_count = defaultdict(list)
    for post, count in Counter(UUID(str(post)) for (post,) in rows).items():
        by_count[count].append(post)
    for count, ids in by_count.items():
        Post.objects.filter(pk__in=ids).update(view_count=F("view_count") + count)


def views_prune() -> int:
    """Delete the views of past hours and return how many there were. This is an action of the
    system."""
    return PostView.objects.filter(hour__lt=timezone.now() - timedelta(hours=2)).delete()[0]


@lru_cache(2)
def _hour(number: int) -> datetime:
    """Return the beginning of an hour since the epoch."""
    return datetime.fromtimestamp(number * 3600, UTC)


@lru_cache(REMEMBERED)
def _is_bot(user_agent: str) -> bool:
    return _BOT.search(user_agent) is not None


@lru_cache(REMEMBERED)
def _anonymous_viewer(address: str) -> str:
    return hashlib.sha256(network_of(address).encode()).hexdigest()
