"""Creating a post."""

from typing import Any

import pytest
from pytest_django import Settings

from apps.accounts.tests.people import Person
from apps.posts import services
from apps.posts.models import Post, PostSlug
from apps.posts.tests.factories import CONTENT, logged_events
from testing.client import ContractClient

pytestmark = pytest.mark.django_db

BODY = {
    "title": "My First Post",
    "content": "This is the content of my first post",
    "status": "draft",
}


def require_nothing_written() -> None:
    """Fail if there is a post, a slug or an event."""
    assert not Post.objects.exists()
    assert not PostSlug.objects.exists()
    assert logged_events() == []


def wrong_fields(response: Any) -> set[tuple[str, str]]:
    """Return the field and the code of every error of a 422."""
    assert response.status_code == 422
    assert response.json()["code"] == "VALIDATION_ERROR"
    return {(error["field"], error["code"]) for error in response.json()["errors"]}


def test_user_creates_a_draft(alice: Person) -> None:
    response = alice.post("/posts", BODY)
    assert response.status_code == 201
    assert response.json()["message"] == "Post created successfully"
    post = response.json()["data"]
    assert {name: post[name] for name in BODY} == BODY
    assert (post["slug"], post["authorId"], post["version"]) == ("my-first-post", alice.id, 1)
    assert (post["viewCount"], post["likeCount"], post["commentCount"]) == (0, 0, 0)
    assert (post["tags"], post["publishedAt"]) == ([], None)
    assert str(Post.objects.get().pk) == post["id"]


def test_a_draft_is_not_announced(alice: Person) -> None:
    alice.post("/posts", BODY)
    assert logged_events() == []


def test_a_post_without_a_status_is_a_draft(alice: Person) -> None:
    response = alice.post("/posts", {"title": "Harbour lights", "content": CONTENT})
    assert response.json()["data"]["status"] == "draft"


def test_a_post_that_is_created_published_is_announced_once(alice: Person) -> None:
    """Publishing must be announced whichever route publishes the post."""
    post = alice.post("/posts", {**BODY, "status": "published"}).json()["data"]
    assert post["status"] == "published"
    assert post["publishedAt"] is not None
    assert logged_events() == [("feed", "post_published")]


def test_an_archived_post_cannot_be_created(alice: Person) -> None:
    response = alice.post("/posts", {**BODY, "status": "archived"})
    assert wrong_fields(response) == {("status", "invalid_choice")}
    require_nothing_written()


@pytest.mark.parametrize("field", ["title", "content"])
@pytest.mark.parametrize("blank", ["", " " * 40, "\u200b\u2060" * 20, "\t\n\r\u00a0\u2003" * 10])
def test_blank_text_is_refused(alice: Person, field: str, blank: str) -> None:
    """White space, or invisible characters, would make a post without a title."""
    response = alice.post("/posts", {**BODY, field: blank})
    assert wrong_fields(response) == {(field, "blank")}
    require_nothing_written()


@pytest.mark.parametrize(("field", "text"), [("title", "ab"), ("content", "123456789")])
def test_white_space_does_not_count_towards_the_minimum_length(
    alice: Person, field: str, text: str
) -> None:
    """The text is stripped before its length is checked."""
    response = alice.post("/posts", {**BODY, field: f"   {text}   "})
    assert wrong_fields(response) == {(field, "min_length")}
    require_nothing_written()


@pytest.mark.parametrize(("field", "longest"), [("title", 255), ("content", 100_000)])
def test_text_over_its_maximum_length_is_refused(alice: Person, field: str, longest: int) -> None:
    """Without a maximum one post could fill the database."""
    response = alice.post("/posts", {**BODY, field: "é" * (longest + 1)})
    assert wrong_fields(response) == {(field, "max_length")}
    require_nothing_written()


@pytest.mark.parametrize(("field", "longest"), [("title", 255), ("content", 100_000)])
def test_text_of_the_maximum_length_is_kept_whole(alice: Person, field: str, longest: int) -> None:
    response = alice.post("/posts", {**BODY, field: "é" * longest})
    assert response.json()["data"][field] == "é" * longest


def test_all_invalid_fields_are_reported_together(alice: Person) -> None:
    response = alice.post(
        "/posts", {"title": "ab", "status": "secret", "tags": ["sea", "", 7], "content": 12}
    )
    assert wrong_fields(response) == {
        ("title", "min_length"),
        ("content", "invalid"),
        ("status", "invalid_choice"),
        ("tags.1", "blank"),
        ("tags.2", "invalid"),
    }
    require_nothing_written()


def test_missing_fields_are_reported(alice: Person) -> None:
    assert wrong_fields(alice.post("/posts", {})) == {
        ("title", "required"),
        ("content", "required"),
    }
    require_nothing_written()


def test_tags_are_lowered_and_unique(alice: Person) -> None:
    post = alice.post("/posts", {**BODY, "tags": [" Sea", "boats", "SEA", "Boats "]})
    assert post.json()["data"]["tags"] == ["sea", "boats"]


def test_more_than_ten_tags_are_refused(alice: Person) -> None:
    response = alice.post("/posts", {**BODY, "tags": [f"tag{n}" for n in range(11)]})
    assert wrong_fields(response) == {("tags", "max_length")}
    require_nothing_written()


def test_anonymous_user_cannot_create(anonymous: ContractClient) -> None:
    response = anonymous.post("/api/v1/posts", BODY)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    require_nothing_written()


def test_posts_beyond_the_limit_are_refused(alice: Person, bob: Person, settings: Settings) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(create_post=3)
    body = {**BODY, "status": "published"}
    assert [alice.post("/posts", body).status_code for _ in range(3)] == [201] * 3
    response = alice.post("/posts", body)
    assert (response.status_code, response.json()["code"]) == (429, "RATE_LIMIT_EXCEEDED")
    assert int(response["Retry-After"]) >= 1
    assert (Post.objects.count(), len(logged_events())) == (3, 3)
    assert bob.post("/posts", body).status_code == 201


def test_user_cannot_create_a_post_for_another(alice: Person, bob: Person) -> None:
    post = alice.post("/posts", {**BODY, "authorId": bob.id, "viewCount": 1000})
    assert post.json()["data"]["authorId"] == alice.id
    assert post.json()["data"]["viewCount"] == 0


def test_a_post_that_cannot_be_saved_is_not_announced(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("disk full")

    monkeypatch.setattr(services, "insert_objects", fail)
    response = alice.post("/posts", {**BODY, "status": "published"})
    assert response.status_code == 500
    assert "disk" not in response.content.decode()
    require_nothing_written()
