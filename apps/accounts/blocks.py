"""Between whom there is a block. Every surface on which one user meets another asks here
(docs/decisions/0053-blocks.md).

A block works in both directions: who has blocked whom is asked only where a user ends their own.
"""

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from apps.accounts.errors import UsersBlocked
from apps.accounts.models import Block, User
from apps.core.db.sql import query_given
from apps.core.errors import require

Pair = tuple[UUID, UUID]


_FOUND = "SELECT blocker_id, blocked_id FROM given JOIN {table} USING (blocker_id, blocked_id)"


class Blocks:
    """The blocks between some pairs of users."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        """Read the blocks between these pairs, in one statement whatever their number."""
        asked = set(pairs)
        asked |= {(other, one) for one, other in asked}
        rows = query_given(Block, ("blocker", "blocked"), list(asked), _FOUND) if asked else []
        self._found = {(UUID(str(one)), UUID(str(other))) for one, other in rows}

    def between(self, one: UUID, other: UUID) -> bool:
        """Return whether one of the two, which are among the pairs, has blocked the other."""
        return (one, other) in self._found or (other, one) in self._found


def require_no_block(one: UUID, other: UUID) -> None:
    """Raise UsersBlocked if one of the two users has blocked the other."""
    require(not Blocks([(one, other)]).between(one, other), UsersBlocked)


def blocked_among(user_id: UUID, others: Iterable[UUID]) -> set[UUID]:
    """Return those of the others between whom and the user there is a block."""
    asked = set(others)
    blocks = Blocks((user_id, other) for other in asked)
    return {other for other in asked if blocks.between(user_id, other)}


def not_blocked_for(viewer: User | None, path: str) -> Q:
    """Return the condition that there is no block between the viewer and the user at the path of
    the queried row. An anonymous viewer has no blocks."""
    if viewer is None:
        return Q()
    either = Block.objects.order_by()
    return Q(
        ~Exists(either.filter(blocker=viewer, blocked=OuterRef(path))),
        ~Exists(either.filter(blocked=viewer, blocker=OuterRef(path))),
    )


def blocked_pairs(users: Collection[UUID], among: Collection[UUID] | None = None) -> Iterable[Pair]:
    """Return for each of the users between whom and them there is a block, as pairs of the user and
    the other: all, or those of `among`."""
    ours, theirs = Block.objects.filter(blocker__in=users), Block.objects.filter(blocked__in=users)
    if among is not None:
        ours, theirs = ours.filter(blocked__in=among), theirs.filter(blocker__in=among)
    return (
        ours.order_by()
        .values_list("blocker", "blocked")
        .union(theirs.order_by().values_list("blocked", "blocker"))
    )
