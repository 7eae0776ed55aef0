"""Blocking: it ends following, works in both directions, and is ended by the one who began it."""

import pytest
from django.db import IntegrityError, transaction

from apps.accounts.blocks import Blocks, blocked_among, blocked_pairs
from apps.accounts.models import Block, Follow
from apps.accounts.tests.people import Person
from apps.accounts.tests.test_follow import names
from testing.queries import statements

pytestmark = pytest.mark.django_db


def block(blocker: Person, blocked: Person) -> None:
    assert blocker.post(f"/users/{blocked.id}/block").status_code == 200


def test_a_block_ends_following_in_both_directions(
    alice: Person, bob: Person, carol: Person
) -> None:
    for follower, followed in ((alice, bob), (bob, alice), (alice, carol)):
        follower.post(f"/users/{followed.id}/follow")
    for _ in range(2):
        block(alice, bob)
    assert [str(one) for one in Follow.objects.all()] == [f"{alice.id} follows {carol.id}"]
    assert Block.objects.count() == 1


def test_neither_of_the_two_can_follow_the_other(alice: Person, bob: Person) -> None:
    block(alice, bob)
    for follower, followed in ((alice, bob), (bob, alice)):
        response = follower.post(f"/users/{followed.id}/follow")
        assert response.status_code == 403
        assert response.json()["message"] == "You cannot interact with this user"
    assert Follow.objects.count() == 0


def test_a_block_is_ended_by_the_one_who_began_it(alice: Person, bob: Person) -> None:
    block(alice, bob)
    assert bob.delete(f"/users/{alice.id}/block").status_code == 200
    assert bob.post(f"/users/{alice.id}/follow").status_code == 403
    for _ in range(2):
        assert alice.delete(f"/users/{bob.id}/block").status_code == 200
    assert bob.post(f"/users/{alice.id}/follow").status_code == 200


def test_a_user_sees_only_whom_they_have_blocked_themselves(
    alice: Person, bob: Person, carol: Person
) -> None:
    block(alice, bob)
    block(alice, carol)
    block(bob, alice)
    assert names(alice, "/users/blocked") == ["Carol", "Bob"]
    assert names(bob, "/users/blocked") == ["Alice"]
    assert names(carol, "/users/blocked") == []


def test_neither_finds_the_other_by_name_or_in_lists(
    alice: Person, bob: Person, carol: Person
) -> None:
    for one in (alice, bob):
        one.post(f"/users/{carol.id}/follow")
        carol.post(f"/users/{one.id}/follow")
    block(alice, bob)
    for one, other in ((alice, bob), (bob, alice)):
        assert names(one, f"/users?search={other.user.name}") == []
        assert names(one, f"/users?search={one.user.name}") == [one.user.name]
        assert names(one, f"/users/{carol.id}/followers") == [one.user.name]
        assert names(one, f"/users/{carol.id}/following") == [one.user.name]
        for path in ("followers", "following"):
            assert one.get(f"/users/{other.id}/{path}").status_code == 403
        # What everybody may see without an account stays visible.
        assert one.get(f"/users/{other.id}").status_code == 200
    assert names(carol, "/users?search=Bob") == ["Bob"]


def test_blocks_of_many_pairs_are_read_in_one_statement(
    alice: Person, bob: Person, carol: Person
) -> None:
    block(alice, bob)
    a, b, c = (one.user.pk for one in (alice, bob, carol))
    with statements() as sent:
        blocks = Blocks([(a, b), (b, c), (c, a)])
    assert len(sent) == 1
    assert blocks.between(a, b)
    assert blocks.between(b, a)
    assert not blocks.between(b, c)
    assert blocked_among(b, [a, c]) == {a}
    assert not Blocks([]).between(a, b)
    assert set(blocked_pairs([a, b, c])) == {(a, b), (b, a)}
    assert set(blocked_pairs([b], [a, c])) == {(b, a)}
    assert set(blocked_pairs([b], [c])) == set()


def test_the_database_allows_one_block_of_a_pair_and_none_of_oneself(
    alice: Person, bob: Person
) -> None:
    Block.objects.create(blocker=alice.user, blocked=bob.user)
    for blocked in (bob.user, alice.user):
        with pytest.raises(IntegrityError), transaction.atomic():
            Block.objects.create(blocker=alice.user, blocked=blocked)
    assert Block.objects.count() == 1
