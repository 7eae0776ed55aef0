"""Slugs: how they are made of titles, and that no two posts ever share one."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.accounts.tests.people import Person
from apps.core.tests.together import together
from apps.posts.models import Post, PostSlug
from apps.posts.services import post_create, post_delete, post_update
from apps.posts.slugs import slug_of
from apps.posts.tests.factories import CONTENT, draft_of, published_by, row
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


def by_slug(client: ContractClient, slug: str) -> Any:
    """Read a post by slug and return the answer."""
    return client.get(f"/api/v1/posts/slug/{slug}")


def rename(person: Person, post: Post, title: str) -> Post:
    """Change the title of the post and return the post."""
    return post_update(person.user, post_id=post.pk, title=title)


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("My First Post", "my-first-post"),
        ("Ça va, déjà vu?", "ca-va-deja-vu"),
        ("  --Hello--   World!! ", "hello-world"),
        ("ﬁne print, ½ price", "fine-print-12-price"),
        ("100% of it", "100-of-it"),
    ],
)
def test_a_slug_is_the_title_in_plain_letters(title: str, slug: str) -> None:
    assert slug_of(title) == slug


@pytest.mark.parametrize("title", ["🎉🎉🎉", "?!… --- !!!", "日本語の題名"])
def test_a_title_without_plain_letters_gets_a_slug(
    alice: Person, anonymous: ContractClient, title: str
) -> None:
    """An empty slug would have no address."""
    slugs = {published_by(alice, title).slug for _ in range(3)}
    assert len(slugs) == 3
    assert all(slug.startswith("post") for slug in slugs)
    assert {by_slug(anonymous, slug).status_code for slug in slugs} == {200}


@pytest.mark.parametrize("letter", ["a", "ñ", "㏂", "⑽"])
def test_a_title_of_255_letters_has_a_slug_that_fits(alice: Person, letter: str) -> None:
    """One letter may become several in ASCII, and a suffix needs room."""
    slugs = [draft_of(alice, letter * 255).slug for _ in range(2)]
    assert len(set(slugs)) == 2
    assert all(0 < len(slug) <= 255 for slug in slugs)


def test_equal_titles_in_one_second_get_different_slugs(alice: Person, bob: Person) -> None:
    """A suffix made of the time would collide."""
    slugs = [draft_of(person).slug for person in (alice, alice, bob, bob)]
    assert slugs[0] == "harbour-lights"
    assert len(set(slugs)) == 4


@pytest.mark.django_db(transaction=True)
def test_concurrent_posts_of_one_title_get_different_slugs(alice: Person) -> None:
    """A check before the insert would let two posts take one slug."""

    def create() -> str:
        return post_create(alice.user, title="Harbour lights", content=CONTENT).slug

    slugs = together(*[create] * 8)
    assert all(isinstance(slug, str) for slug in slugs), slugs
    assert len(set(slugs)) == 8
    assert "harbour-lights" in slugs
    assert set(Post.objects.values_list("slug", flat=True)) == set(slugs)


def test_a_title_of_a_deleted_post_can_be_used_again(alice: Person) -> None:
    """The slug of the deleted post stays taken, so the new post gets a suffix."""
    gone = draft_of(alice)
    post_delete(alice.user, post_id=gone.pk)
    response = alice.post("/posts", {"title": "Harbour lights", "content": CONTENT})
    assert response.status_code == 201
    assert response.json()["data"]["slug"] not in {"", gone.slug}


def test_a_title_can_be_changed_to_that_of_another_post(alice: Person) -> None:
    """The slug is taken, so the post gets a suffix instead of an error."""
    taken, post = draft_of(alice, "Harbour lights"), draft_of(alice, "Night ferry")
    response = alice.patch(f"/posts/{post.pk}", {"title": "Harbour lights"})
    assert response.status_code == 200
    slug = response.json()["data"]["slug"]
    assert slug != taken.slug
    assert slug.startswith("harbour-lights-")


def test_a_title_can_be_changed_to_that_of_a_deleted_post(alice: Person) -> None:
    """The slug stays taken, so the post gets a suffix instead of an error."""
    gone, post = draft_of(alice, "Harbour lights"), draft_of(alice, "Night ferry")
    post_delete(alice.user, post_id=gone.pk)
    response = alice.patch(f"/posts/{post.pk}", {"title": "Harbour lights"})
    assert response.status_code == 200
    assert response.json()["data"]["slug"] != gone.slug


@pytest.mark.django_db(transaction=True)
def test_concurrent_changes_to_one_title_get_different_slugs(alice: Person) -> None:
    """A check before the update would let two posts take one slug."""
    posts = [draft_of(alice, f"Night ferry {n}") for n in range(4)]
    together(*[lambda post=post: rename(alice, post, "Harbour lights").slug for post in posts])
    slugs = [row(post)["slug"] for post in posts]
    assert len(set(slugs)) == 4
    assert all(slug.startswith("harbour-lights") for slug in slugs)


def test_an_old_slug_finds_the_post_with_its_current_slug(
    alice: Person, anonymous: ContractClient
) -> None:
    """Links to the post must survive a new title."""
    post = published_by(alice, "Harbour lights")
    assert by_slug(anonymous, "harbour-lights").json()["data"]["slug"] == "harbour-lights"
    rename(alice, post, "Night ferry")
    for slug in ("harbour-lights", "night-ferry"):
        found = by_slug(anonymous, slug).json()["data"]
        assert (found["id"], found["slug"]) == (str(post.pk), "night-ferry")
        assert found["title"] == "Night ferry"


def test_an_old_slug_is_never_reused_for_another_post(
    alice: Person, anonymous: ContractClient
) -> None:
    """Links to the old slug must not lead to another post."""
    post = published_by(alice, "Harbour lights")
    rename(alice, post, "Night ferry")
    assert published_by(alice, "Harbour lights").slug != "harbour-lights"
    assert by_slug(anonymous, "harbour-lights").json()["data"]["id"] == str(post.pk)


def test_a_title_that_is_changed_back_gets_its_old_slug_back(alice: Person) -> None:
    post = draft_of(alice, "Harbour lights")
    rename(alice, post, "Night ferry")
    assert rename(alice, post, "Harbour lights").slug == "harbour-lights"
    assert PostSlug.objects.filter(post=post).count() == 2


def test_a_title_that_is_changed_back_gets_its_old_slug_back_with_its_suffix(
    alice: Person,
) -> None:
    draft_of(alice, "Harbour lights")
    second = draft_of(alice, "Harbour lights")
    rename(alice, second, "Night ferry")
    assert rename(alice, second, "Harbour lights").slug == second.slug
    assert PostSlug.objects.filter(post=second).count() == 2


def test_a_new_title_with_the_same_slug_keeps_it(alice: Person) -> None:
    draft_of(alice, "Harbour lights")
    second = draft_of(alice, "Harbour lights")
    assert rename(alice, second, "HARBOUR LIGHTS!").slug == second.slug
    assert PostSlug.objects.filter(post=second).count() == 1


@pytest.mark.parametrize("slug", ["never-was", "Harbour-Lights", "harbour_lights", "x" * 256])
def test_an_unknown_slug_is_not_found(alice: Person, anonymous: ContractClient, slug: str) -> None:
    published_by(alice, "Harbour lights")
    response = by_slug(anonymous, slug)
    assert response.status_code == 404
    assert response.json()["code"] == "NOT_FOUND"


def test_the_database_refuses_a_duplicate_slug(alice: Person) -> None:
    taken, post = draft_of(alice, "Harbour lights"), draft_of(alice, "Night ferry")
    with pytest.raises(IntegrityError), transaction.atomic():
        Post.objects.filter(pk=post.pk).update(slug=taken.slug)
    with pytest.raises(IntegrityError), transaction.atomic():
        PostSlug.objects.create(slug=taken.slug, post=post)
    assert row(post)["slug"] == "night-ferry"
