"""Reads of posts that are answered from kept bytes: published posts, which everyone sees alike, and
lists of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet, UUIDField

from apps.accounts.models import user_tag
from apps.core.http.envelope import dumps
from apps.core.http.hot_lists import PAGES_AT_ONCE, page_shown, pages_shown, read_query
from apps.core.http.hot_reads import HotRead, Reader, Shown
from apps.core.http.pagination import Listing, Paging, paging_of
from apps.core.http.prepared_lists import PreparedList
from apps.posts import selectors
from apps.posts.events import FEED
from apps.posts.models import POSTS_TAG, Post, post_tag
from apps.posts.selectors import PublicPost
from apps.posts.serializers import PostQuery
from apps.posts.shapes import post_item_shape, post_shape
from apps.posts.view_counts import view_counter
from apps.realtime.snapshots import stream_numbers

PER_PAGE = 10


class Viewed(NamedTuple):
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


class PublicList(NamedTuple):
    """A page of the published posts of one author, or of all."""

    author_id: UUID | None
    paging: Paging


def listing(posts: QuerySet[Post]) -> Listing[Any]:
    """Return the list of the posts."""
    return Listing(posts, selectors.post_items, selectors.post_item_columns)


_PUBLIC = PreparedList(
    lambda **values: listing(selectors.posts_visible(None, **values)), author_id=UUIDField()
)


def _list_asked_for(path: Mapping[str, str], query: str) -> PublicList | None:
    given = read_query(PostQuery, query)
    if given is None or given.get("status", Post.Status.PUBLISHED) != Post.Status.PUBLISHED:
        return None
    return PublicList(given.get("author_id"), paging_of(given, PER_PAGE))


def _load_lists(lists: Sequence[PublicList]) -> Mapping[PublicList, Shown]:
    # The numbers are read first: what happens meanwhile may be in the lists already, and is told
    # by a later event as well.
    numbers = stream_numbers([FEED.name()])
    return pages_shown(lists, lambda asked: _list_shown(asked)._replace(streams=numbers))


def _list_shown(asked: PublicList) -> Shown:
    values = {} if asked.author_id is None else {"author_id": asked.author_id}
    page = _PUBLIC.page(asked.paging, **values)
    items = replace(page, rows=selectors.post_items(page.rows))
    return page_shown(items, lambda post: post_item_shape(post, post.author), _list_tags)


def _list_tags(posts: Sequence[Any]) -> Iterator[str]:
    yield POSTS_TAG
    for post in posts:
        yield post_tag(post.id)
        yield user_tag(post.author_id)


def _is_not_their_own(asked: PublicList, reader: Reader) -> bool:
    """Return whether the reader is shown what all are: authors also see their own drafts."""
    return reader.user_id is None or reader.user_id != asked.author_id


POST_LIST: HotRead[PublicList] = HotRead(
    key=_list_asked_for, load=_load_lists, same_for=_is_not_their_own, most=PAGES_AT_ONCE
)
