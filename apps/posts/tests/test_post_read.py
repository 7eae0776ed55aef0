"""Reading a post by id and by slug: who sees which posts."""

from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, OperationalError

from apps.accounts.profiles import profile_update
from apps.accounts.tests.people import Person
from apps.core.ids import uuid7
from apps.posts import selectors
from apps.posts.models import Post
from apps.posts.services import post_publish, post_update
from apps.posts.tests.factories import draft_of, post_of, published_by
from testing.client import ContractClient

pytestmark = pytest.mark.django_db

EVERYONE = ["alice", "bob", "moderator", "anonymous"]
HIDDEN = ["draft", "archived"]


def client_of(who: str, request: pytest.FixtureRequest) -> ContractClient:
    """Return the client of a user of the fixtures, or the anonymous client."""
    found = request.getfixturevalue(who)
    return found.client if isinstance(found, Person) else found


def read_both_ways(client: ContractClient, post: Post) -> list[Any]:
    """Read the post by id and by slug, and return both answers."""
    return [client.get(f"/api/v1/posts/{post.pk}"), client.get(f"/api/v1/posts/slug/{post.slug}")]


@pytest.mark.parametrize("who", EVERYONE)
def test_everyone_reads_a_published_post(
    request: pytest.FixtureRequest, alice: Person, who: str
) -> None:
    post = published_by(alice)
    for response in read_both_ways(client_of(who, request), post):
        assert response.status_code == 200
        assert response.json()["message"] == "Post retrieved successfully"
        assert response.json()["data"]["id"] == str(post.pk)
        assert response.json()["data"]["content"] == post.content


@pytest.mark.parametrize("status", HIDDEN)
@pytest.mark.parametrize("who", ["alice", "moderator"])
def test_author_and_moderator_read_a_hidden_post(
    request: pytest.FixtureRequest, alice: Person, status: str, who: str
) -> None:
    """Drafts and archived posts are hidden from everyone else."""
    post = post_of(alice, status)
    for response in read_both_ways(client_of(who, request), post):
        assert response.status_code == 200
        assert response.json()["data"]["status"] == status


@pytest.mark.parametrize("status", HIDDEN)
@pytest.mark.parametrize("who", ["bob", "anonymous"])
def test_others_cannot_find_a_hidden_post(
    request: pytest.FixtureRequest, alice: Person, status: str, who: str
) -> None:
    """A 403 would reveal that the post exists."""
    post = post_of(alice, status)
    for response in read_both_ways(client_of(who, request), post):
        assert response.status_code == 404
        assert response.json()["message"] == "Post not found"
        assert post.title not in response.content.decode()


def test_an_unknown_id_is_not_found(anonymous: ContractClient) -> None:
    response = anonymous.get(f"/api/v1/posts/{uuid7()}")
    assert response.status_code == 404
    assert response.json()["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "wrong", ["42", "not-a-uuid", "0197b6c0-0000-7000-8000", "{pk}0", "{pk:hex}", "%00", "{pk}'--"]
)
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_an_id_that_is_not_a_uuid_is_not_found(alice: Person, wrong: str, method: str) -> None:
    """PostgreSQL would raise an error for such an id."""
    post = published_by(alice)
    path = wrong.replace("{pk:hex}", post.pk.hex).replace("{pk}", str(post.pk))
    response = getattr(alice, method)(f"/posts/{path}")
    assert response.status_code == 404
    assert response.json()["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError("connection lost"), 503, "SERVICE_UNAVAILABLE"),
        (DatabaseError("relation is gone"), 500, "INTERNAL_ERROR"),
    ],
)
def test_a_broken_database_is_not_reported_as_a_missing_post(
    alice: Person, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    """A client would take a 404 for the news that the post was deleted."""

    def fail(viewer: object, post_id: UUID) -> Post:
        raise error

    monkeypatch.setattr(selectors, "post_get", fail)
    response = alice.get(f"/posts/{published_by(alice).pk}")
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert str(error) not in response.content.decode()


def test_a_post_shows_its_author_without_their_email(
    alice: Person, anonymous: ContractClient
) -> None:
    """Posts are public, and an e-mail address is not."""
    for response in read_both_ways(anonymous, published_by(alice)):
        assert response.json()["data"]["author"]["name"] == "Alice"
        assert alice.user.email not in response.content.decode()


def test_a_post_shows_the_current_name_of_its_author(
    alice: Person, anonymous: ContractClient
) -> None:
    """A cached author would keep the old name."""
    post = published_by(alice)
    read_both_ways(anonymous, post)
    profile_update(alice.user, name="Alice of the Harbour")
    for response in read_both_ways(anonymous, post):
        assert response.json()["data"]["author"]["name"] == "Alice of the Harbour"


def test_a_change_shows_at_once_in_a_post_that_was_read_before(
    alice: Person, anonymous: ContractClient
) -> None:
    """A cached post would keep the old content."""
    post = published_by(alice)
    for content in ("The first change of it.", "The second change of it."):
        read_both_ways(anonymous, post)
        post_update(alice.user, post_id=post.pk, content=content)
        for response in read_both_ways(anonymous, post):
            assert response.json()["data"]["content"] == content


def test_publishing_shows_at_once_by_id_and_by_slug(alice: Person) -> None:
    """A post that is cached by its slug would stay a draft."""
    post = draft_of(alice)
    read_both_ways(alice.client, post)
    post_publish(alice.user, post_id=post.pk)
    for response in read_both_ways(alice.client, post):
        assert response.json()["data"]["status"] == "published"


def test_an_archived_post_is_hidden_from_others_at_once(
    alice: Person, anonymous: ContractClient
) -> None:
    """A cached post would stay public."""
    post = published_by(alice)
    read_both_ways(anonymous, post)
    post_update(alice.user, post_id=post.pk, status="archived")
    assert [response.status_code for response in read_both_ways(anonymous, post)] == [404, 404]


def test_times_are_in_utc(alice: Person) -> None:
    """A time without its zone is ambiguous."""
    post = alice.get(f"/posts/{published_by(alice).pk}").json()["data"]
    assert all(post[name].endswith("Z") for name in ("publishedAt", "createdAt", "updatedAt"))
