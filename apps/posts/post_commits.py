"""Writes of posts that wait in a process at one moment are made in one transaction."""

from collections.abc import Hashable, Sequence
from typing import Any
from uuid import UUID

from apps.accounts.models import User
from apps.core.errors import Busy, DomainError
from apps.core.ratelimit import action_refusals
from apps.posts.models import Post
from apps.posts.services import NewPost, PostChange, posts_create, posts_update
from apps.posts.slugs import slug_of
from apps.realtime.group_commit import GroupCommit, one_per_loop


async def post_create_grouped(actor: User, **given: Any) -> Post:
    """Do what post_create() does, with the posts that wait at the same moment; raise RateLimited or
    Busy."""
    return await _creations().submit(NewPost(actor, **given))


async def post_update_grouped(actor: User, pk: str, **given: Any) -> Post:
    """Do what post_update() does, with the changes that wait at the same moment; raise what it
    raises, or Busy."""
    return await _changes().submit(PostChange(actor, UUID(pk), **given))


@one_per_loop
def _creations() -> GroupCommit[NewPost, Post]:
    return GroupCommit(
        commit=lambda new: posts_create(new),
        refusals_of=_refusals_of,
        owner_of=lambda new: new.author.pk,
        locks_of=_slug_of,
        too_many=Busy,
    )


@one_per_loop
def _changes() -> GroupCommit[PostChange, Post]:
    return GroupCommit(
        commit=lambda changes: posts_update(changes),
        refusals_of=lambda changes: [None] * len(changes),
        owner_of=lambda change: change.actor.pk,
        locks_of=lambda change: frozenset((change.post_id,)),
        too_many=Busy,
    )


def _refusals_of(new: Sequence[NewPost]) -> Sequence[DomainError | None]:
    """Count one post of each author, in one request to Redis, and refuse those above the limit."""
    return action_refusals("create_post", [one.author.pk for one in new])


def _slug_of(new: NewPost) -> frozenset[Hashable]:
    """Return what two posts of one title lock."""
    return frozenset((slug_of(new.title),))
