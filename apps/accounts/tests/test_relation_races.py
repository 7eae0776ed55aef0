"""Follows and blocks that meet: each runs any number of times at once, and a block always wins."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection

from apps.accounts.errors import UsersBlocked
from apps.accounts.models import Block, Follow
from apps.accounts.relations import user_block, user_follow, user_unblock, user_unfollow
from apps.accounts.tests.people import Person
from apps.core.tests.together import overlapping, together

pytestmark = pytest.mark.django_db(transaction=True)


def errors(outcomes: Sequence[Any]) -> list[Any]:
    return [one for one in outcomes if isinstance(one, Exception)]


def test_follows_at_once_in_both_directions_are_one_each(alice: Person, bob: Person) -> None:
    outcomes = together(
        *[lambda: user_follow(alice.user, user_id=bob.user.pk)] * 3,
        *[lambda: user_follow(bob.user, user_id=alice.user.pk)] * 3,
    )
    assert errors(outcomes) == []
    assert Follow.objects.count() == 2
    outcomes = together(
        *[lambda: user_unfollow(alice.user, user_id=bob.user.pk)] * 3,
        *[lambda: user_unfollow(bob.user, user_id=alice.user.pk)] * 3,
    )
    assert errors(outcomes) == []
    assert Follow.objects.count() == 0


def test_blocks_at_once_in_both_directions_are_one_each(alice: Person, bob: Person) -> None:
    outcomes = together(
        *[lambda: user_block(alice.user, user_id=bob.user.pk)] * 3,
        *[lambda: user_block(bob.user, user_id=alice.user.pk)] * 3,
    )
    assert errors(outcomes) == []
    assert Block.objects.count() == 2
    outcomes = together(
        *[lambda: user_unblock(alice.user, user_id=bob.user.pk)] * 3,
        *[lambda: user_unblock(bob.user, user_id=alice.user.pk)] * 3,
    )
    assert errors(outcomes) == []
    assert Block.objects.count() == 0


def test_no_follow_survives_a_block_at_the_same_moment(alice: Person, bob: Person) -> None:
    for _ in range(5):
        outcomes = together(
            lambda: user_follow(alice.user, user_id=bob.user.pk),
            lambda: user_follow(bob.user, user_id=alice.user.pk),
            lambda: user_block(bob.user, user_id=alice.user.pk),
        )
        assert all(isinstance(one, UsersBlocked) for one in errors(outcomes))
        assert (Follow.objects.count(), Block.objects.count()) == (0, 1)
        user_unblock(bob.user, user_id=alice.user.pk)


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="Writers wait for each other on SQLite."
)
def test_a_follow_waits_for_a_block_that_is_not_committed_and_is_refused(
    alice: Person, bob: Person
) -> None:
    with pytest.raises(UsersBlocked):
        overlapping(
            lambda: user_block(bob.user, user_id=alice.user.pk),
            lambda: user_follow(alice.user, user_id=bob.user.pk),
        )
    assert (Follow.objects.count(), Block.objects.count()) == (0, 1)
