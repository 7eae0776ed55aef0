"""Following: who may, how it ends, and who sees the lists."""

import pytest
from django.db import IntegrityError, transaction

from apps.accounts.models import Follow
from apps.accounts.tests.people import Person, set_status
from apps.core.ids import uuid7
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


def names(viewer: Person, path: str) -> list[str]:
    response = viewer.get(path)
    assert response.status_code == 200, response.content
    return [user["name"] for user in response.json()["data"]]


def test_alice_follows_bob_once_however_often_she_asks(alice: Person, bob: Person) -> None:
    for _ in range(2):
        response = alice.post(f"/users/{bob.id}/follow")
        assert response.status_code == 200
        assert response.json()["message"] == "User followed"
    assert Follow.objects.count() == 1
    assert names(alice, f"/users/{alice.id}/following") == ["Bob"]
    assert names(bob, f"/users/{bob.id}/followers") == ["Alice"]
    assert names(bob, f"/users/{bob.id}/following") == []


def test_alice_ends_following_bob_however_often_she_asks(
    alice: Person, bob: Person, carol: Person
) -> None:
    alice.post(f"/users/{bob.id}/follow")
    alice.post(f"/users/{carol.id}/follow")
    for _ in range(2):
        assert alice.delete(f"/users/{bob.id}/follow").status_code == 200
    assert names(alice, f"/users/{alice.id}/following") == ["Carol"]


@pytest.mark.parametrize("what", ["follow", "block"])
def test_nobody_follows_or_blocks_themselves(alice: Person, what: str) -> None:
    for ask in (alice.post, alice.delete):
        response = ask(f"/users/{alice.id}/{what}")
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == "id"
    assert Follow.objects.count() == 0


@pytest.mark.parametrize("what", ["follow", "block"])
def test_an_unknown_or_disabled_user_is_not_found(alice: Person, bob: Person, what: str) -> None:
    set_status(bob.user, "suspended")
    for user in (bob.id, str(uuid7())):
        for ask in (alice.post, alice.delete):
            assert ask(f"/users/{user}/{what}").status_code == 404
    for path in ("followers", "following"):
        assert alice.get(f"/users/{bob.id}/{path}").status_code == 404
    assert Follow.objects.count() == 0


def test_a_disabled_user_is_not_listed_and_can_be_left(alice: Person, bob: Person) -> None:
    alice.post(f"/users/{bob.id}/follow")
    set_status(bob.user, "banned")
    assert names(alice, f"/users/{alice.id}/following") == []
    assert alice.delete(f"/users/{bob.id}/follow").status_code == 200
    assert Follow.objects.count() == 0


def test_lists_are_paged_by_number_and_by_cursor_the_latest_first(
    alice: Person, bob: Person, carol: Person, moderator: Person
) -> None:
    for follower in (bob, carol, moderator):
        follower.post(f"/users/{alice.id}/follow")
    assert names(bob, f"/users/{alice.id}/followers") == ["Morton", "Carol", "Bob"]
    first = bob.get(f"/users/{alice.id}/followers", {"limit": 2, "cursor": ""}).json()
    assert [one["name"] for one in first["data"]] == ["Morton", "Carol"]
    assert set(first["data"][0]) == {"id", "name", "role", "bio", "avatarUrl", "createdAt"}
    cursor = first["pagination"]["nextCursor"]
    rest = bob.get(f"/users/{alice.id}/followers", {"limit": 2, "cursor": cursor}).json()
    assert [one["name"] for one in rest["data"]] == ["Bob"]
    page = bob.get(f"/users/{alice.id}/followers", {"limit": 2, "page": 2}).json()
    assert (page["pagination"]["total"], len(page["data"])) == (3, 1)


@pytest.mark.parametrize("path", ["follow", "block"])
def test_only_users_follow_block_and_read_the_lists(
    bob: Person, anonymous: ContractClient, path: str
) -> None:
    assert anonymous.post(f"/api/v1/users/{bob.id}/{path}").status_code == 401
    for listed in (f"{bob.id}/followers", f"{bob.id}/following", "blocked"):
        assert anonymous.get(f"/api/v1/users/{listed}").status_code == 401


def test_the_database_allows_one_follow_of_a_pair_and_none_of_oneself(
    alice: Person, bob: Person
) -> None:
    Follow.objects.create(follower=alice.user, followed=bob.user)
    for followed in (bob.user, alice.user):
        with pytest.raises(IntegrityError), transaction.atomic():
            Follow.objects.create(follower=alice.user, followed=followed)
    assert Follow.objects.count() == 1
