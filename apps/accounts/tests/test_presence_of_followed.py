"""Users who follow somebody see when they are online, and not the other way round."""

import pytest

from apps.accounts import selectors
from apps.accounts.selectors import presence_followers
from apps.accounts.tests.people import Person
from apps.realtime.registry import audiences_of, visible_to

pytestmark = pytest.mark.django_db


def test_alice_sees_the_presence_of_bob_whom_she_follows(
    alice: Person, bob: Person, carol: Person
) -> None:
    alice.post(f"/users/{bob.id}/follow")
    a, b, c = (one.user.pk for one in (alice, bob, carol))
    assert audiences_of([a, b, c]) == {a: set(), b: {a}, c: set()}
    assert visible_to(a, [b, c]) == {b}
    assert visible_to(b, [a, c]) == set()


def test_a_user_with_many_followers_is_shown_to_none_of_them(
    alice: Person, bob: Person, carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    for follower in (alice, carol):
        follower.post(f"/users/{bob.id}/follow")
    alice.post(f"/users/{carol.id}/follow")
    asked = [bob.user.pk, carol.user.pk]
    assert len(set(presence_followers(asked))) == 3
    monkeypatch.setattr(
        selectors, "_MANY_FOLLOWERS", selectors._MANY_FOLLOWERS.replace("OFFSET 500", "OFFSET 1")
    )
    assert set(presence_followers(asked)) == {(carol.user.pk, alice.user.pk)}


def test_a_block_hides_both_also_where_a_conversation_shows_them(
    alice: Person, bob: Person
) -> None:
    alice.post("/messages", {"receiverId": bob.id, "content": "Ahoy"})
    a, b = alice.user.pk, bob.user.pk
    assert audiences_of([a, b]) == {a: {b}, b: {a}}
    bob.post(f"/users/{alice.id}/block")
    assert audiences_of([a, b]) == {a: set(), b: set()}
    assert audiences_of([a], [b]) == {a: set()}
    bob.delete(f"/users/{alice.id}/block")
    assert audiences_of([a, b]) == {a: {b}, b: {a}}
