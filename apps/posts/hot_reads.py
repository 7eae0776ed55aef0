"""Reads of posts that are answered from kept bytes: published posts, which everyone sees alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.accounts.models import user_tag
from apps.core.http.envelope import dumps
from apps.core.http.hot_reads import HotRead, Reader, Shown
from apps.posts import selectors
from apps.posts.models import post_tag
from apps.posts.selectors import PublicPost
from apps.posts.shapes import post_shape
from apps.posts.view_counts import view_counter


@dataclass(frozen=True, slots=True)
class Viewed:
    """The post that was shown, for its view count."""

    post_id: UUID
    author_id: UUID


def _load_by_id(ids: Sequence[UUID]) -> Mapping[UUID, Shown]:
    return {found.post.id: _shown(found) for found in selectors.public_posts(ids)}


def _load_by_slug(slugs: Sequence[str]) -> Mapping[str, Shown]:
    return {slug: _shown(found) for slug, found in selectors.public_posts_by_slug(slugs)}


def _shown(found: PublicPost) -> Shown:
    post, author = found.post, found.author
    return Shown(
        data=dumps(post_shape(post, author)),
        tags=(post_tag(post.id), user_tag(author.id)),
        revision=str(post.version),
        subject=Viewed(post.id, author.id),
    )


def _seen(viewed: Viewed, reader: Reader) -> None:
    view_counter.record_public(
        viewed.post_id, viewed.author_id, reader.user_id, reader.address, reader.user_agent
    )


POST_BY_ID: HotRead[UUID] = HotRead(
    key=lambda path, query: UUID(path["pk"]), load=_load_by_id, seen=_seen
)
POST_BY_SLUG: HotRead[str] = HotRead(
    key=lambda path, query: path["slug"], load=_load_by_slug, seen=_seen
)
