"""Conditional reads of a post: ETag and If-None-Match."""

from typing import Any

import pytest
from django.db.models import F

from apps.accounts.tests.people import Person
from apps.posts.models import Post
from apps.posts.services import post_update
from apps.posts.tests.factories import draft_of, published_by
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


def ask(client: ContractClient, path: str, tags: str) -> Any:
    """Read a post with these tags in If-None-Match, and return the answer."""
    return client.get(f"/api/v1{path}", headers={"If-None-Match": tags})


@pytest.mark.parametrize("how", ["{post.pk}", "slug/{post.slug}"])
def test_a_client_with_the_current_tag_gets_304(
    alice: Person, anonymous: ContractClient, how: str
) -> None:
    path = f"/posts/{how.format(post=published_by(alice))}"
    etag = anonymous.get(f"/api/v1{path}")["ETag"]
    response = ask(anonymous, path, etag)
    assert (response.status_code, response.content) == (304, b"")
    assert response["ETag"] == etag


@pytest.mark.parametrize("form", ["W/{}", '"other", {}', "*"])
def test_every_form_of_a_tag_is_accepted(
    alice: Person, anonymous: ContractClient, form: str
) -> None:
    path = f"/posts/{published_by(alice).pk}"
    etag = anonymous.get(f"/api/v1{path}")["ETag"]
    assert ask(anonymous, path, form.format(etag)).status_code == 304


def test_a_changed_post_is_sent_again(alice: Person, anonymous: ContractClient) -> None:
    """The old tag must not hide a change."""
    post = published_by(alice)
    etag = anonymous.get(f"/api/v1/posts/{post.pk}")["ETag"]
    post_update(alice.user, post_id=post.pk, content="Another content of it.")
    response = ask(anonymous, f"/posts/{post.pk}", etag)
    assert response.status_code == 200
    assert response.json()["data"]["content"] == "Another content of it."
    assert response["ETag"] != etag


def test_a_post_with_another_view_count_is_sent_again(
    alice: Person, anonymous: ContractClient
) -> None:
    """A cached answer must not keep an old view count."""
    post = published_by(alice)
    etag = anonymous.get(f"/api/v1/posts/{post.pk}")["ETag"]
    Post.objects.update(view_count=F("view_count") + 1)
    response = ask(anonymous, f"/posts/{post.pk}", etag)
    assert (response.status_code, response.json()["data"]["viewCount"]) == (200, 1)


def test_equal_posts_have_different_tags(alice: Person, anonymous: ContractClient) -> None:
    tags = {anonymous.get(f"/api/v1/posts/{published_by(alice).pk}")["ETag"] for _ in range(2)}
    assert len(tags) == 2


def test_a_tag_does_not_reveal_a_draft(alice: Person, bob: Person) -> None:
    """A 304 would reveal that the draft exists."""
    path = f"/posts/{draft_of(alice).pk}"
    for tags in ("*", alice.get(path)["ETag"]):
        assert ask(bob.client, path, tags).status_code == 404
