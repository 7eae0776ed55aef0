"""Changing a post."""

from typing import Any

import pytest

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from apps.core.tests.together import together
from apps.posts.errors import PostNotFound
from apps.posts.models import Post
from apps.posts.services import post_delete, post_update
from apps.posts.tests.factories import (
    archived_by,
    draft_of,
    logged_events,
    post_of,
    published_by,
    row,
)
from apps.posts.tests.refusals import require_refused
from apps.realtime.models import LoggedEvent
from testing.client import ContractClient

pytestmark = pytest.mark.django_db

BODY = {"title": "Updated Title", "content": "Updated content"}


@pytest.mark.parametrize("method", ["put", "patch"])
def test_author_changes_title_and_content(alice: Person, method: str) -> None:
    post = draft_of(alice)
    response = getattr(alice, method)(f"/posts/{post.pk}", BODY)
    assert response.status_code == 200
    assert response.json()["message"] == "Post updated successfully"
    changed = response.json()["data"]
    assert {name: changed[name] for name in BODY} == BODY
    assert (changed["slug"], changed["version"]) == ("updated-title", 2)
    assert changed["updatedAt"] > changed["createdAt"]
    assert alice.get(f"/posts/{post.pk}").json()["data"] == changed


@pytest.mark.parametrize("method", ["put", "patch"])
def test_fields_that_are_not_given_do_not_change(alice: Person, method: str) -> None:
    """Only the given fields are written, so that concurrent changes of others survive."""
    post = draft_of(alice)
    getattr(alice, method)(f"/posts/{post.pk}", {"tags": ["sea"]})
    after = row(post)
    assert (after["title"], after["content"], after["tags"]) == (post.title, post.content, ["sea"])


@pytest.mark.parametrize("who", ["bob", "moderator"])
def test_only_the_author_changes_a_post(
    request: pytest.FixtureRequest, alice: Person, who: str
) -> None:
    post = published_by(alice)
    before = row(post), logged_events()
    response = request.getfixturevalue(who).put(f"/posts/{post.pk}", BODY)
    assert response.json()["code"] == "FORBIDDEN"
    require_refused(response, post, before, 403, "You can only update your own posts")


def test_other_user_cannot_find_a_draft_to_change(alice: Person, bob: Person) -> None:
    """A 403 would reveal that the draft exists."""
    post = draft_of(alice)
    before = row(post), logged_events()
    response = bob.put(f"/posts/{post.pk}", BODY)
    require_refused(response, post, before, 404, "Post not found")


def test_anonymous_user_cannot_change_a_post(alice: Person, anonymous: ContractClient) -> None:
    post = published_by(alice)
    before = row(post), logged_events()
    response = anonymous.put(f"/api/v1/posts/{post.pk}", BODY)
    require_refused(response, post, before, 401, "Authentication is required")


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("body", [{}, {"version": 1}, {"colour": "blue"}])
def test_an_empty_change_is_refused(alice: Person, method: str, body: Any) -> None:
    """A success would tell the client that something was changed."""
    post = draft_of(alice)
    before = row(post), logged_events()
    response = getattr(alice, method)(f"/posts/{post.pk}", body)
    assert response.json()["code"] == "BAD_REQUEST"
    message = "Send at least one of title, content, status and tags"
    require_refused(response, post, before, 400, message)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"title": "  \t "}, {("title", "blank")}),
        ({"title": "a" * 256}, {("title", "max_length")}),
        ({"title": None, "content": None}, {("title", "null"), ("content", "null")}),
        ({"content": " " * 20}, {("content", "blank")}),
        ({"content": "a" * 100_001}, {("content", "max_length")}),
        (
            {"status": "secret", "tags": "sea"},
            {("status", "invalid_choice"), ("tags", "not_a_list")},
        ),
        ({"version": "1", "title": "ab"}, {("version", "invalid"), ("title", "min_length")}),
    ],
)
def test_all_invalid_fields_of_a_change_are_reported_together(
    alice: Person, body: Any, errors: set[tuple[str, str]]
) -> None:
    """A form can then mark all of its fields at once."""
    post = draft_of(alice)
    before = row(post), logged_events()
    response = alice.put(f"/posts/{post.pk}", body)
    assert {(one["field"], one["code"]) for one in response.json()["errors"]} == errors
    require_refused(response, post, before, 422, "Some fields are not valid")


def test_fields_of_the_server_cannot_be_set(alice: Person, bob: Person) -> None:
    """A client must not forge the author, the slug or the view count."""
    post = draft_of(alice)
    alice.put(
        f"/posts/{post.pk}",
        {**BODY, "viewCount": 99, "authorId": bob.id, "slug": "mine", "deletedAt": "now"},
    )
    after = row(post)
    assert (after["view_count"], after["author_id"]) == (0, alice.user.pk)
    assert (after["slug"], after["deleted_at"]) == ("updated-title", None)


@pytest.mark.parametrize("who", ["alice", "moderator"])
def test_a_change_does_not_restore_a_deleted_post(
    request: pytest.FixtureRequest, alice: Person, who: str
) -> None:
    """An update that writes the whole row would clear its deletion."""
    post = published_by(alice)
    post_delete(alice.user, post_id=post.pk)
    before = row(post), logged_events()
    response = request.getfixturevalue(who).put(f"/posts/{post.pk}", BODY)
    require_refused(response, post, before, 404, "Post not found")


@pytest.mark.django_db(transaction=True)
def test_concurrent_changes_do_not_restore_a_deleted_post(alice: Person) -> None:
    """An update that read the row before the deletion must not undo it."""
    post = published_by(alice)

    def change() -> Post:
        return post_update(alice.user, post_id=post.pk, title="Night ferry")

    *changes, deletion = together(
        change, change, change, lambda: post_delete(alice.user, post_id=post.pk)
    )
    assert deletion is None
    assert all(isinstance(one, Post | PostNotFound) for one in changes)
    assert row(post)["deleted_at"] is not None


@pytest.mark.parametrize("status", ["published", "archived"])
def test_a_published_post_cannot_become_a_draft(alice: Person, status: str) -> None:
    """The post was announced, and its readers know it."""
    post = post_of(alice, status)
    before = row(post), logged_events()
    response = alice.patch(f"/posts/{post.pk}", {"status": "draft", "title": "Night ferry"})
    message = "A post that was published cannot become a draft again; archive it instead"
    require_refused(response, post, before, 400, message)


def test_an_archived_draft_can_become_a_draft_again(alice: Person) -> None:
    post = draft_of(alice)
    for status in ("archived", "draft"):
        response = alice.patch(f"/posts/{post.pk}", {"status": status})
        assert (response.status_code, response.json()["data"]["status"]) == (200, status)
    assert row(post)["published_at"] is None


def test_a_changed_post_is_not_announced_again(alice: Person) -> None:
    """Only the first publishing is news for subscribers."""
    post = archived_by(alice)
    alice.patch(f"/posts/{post.pk}", {"content": "Another content of it."})
    assert logged_events() == [("feed", "post_published")]


def test_moderator_changes_their_own_post(alice: Person) -> None:
    post = draft_of(alice)
    User.objects.filter(pk=alice.user.pk).update(role=User.Role.MODERATOR)
    assert alice.put(f"/posts/{post.pk}", BODY).status_code == 200


def title_in_the_log(post: Post) -> str:
    title: str = LoggedEvent.objects.get(subject=post.pk).data["post"]["title"]
    return title


def test_the_feed_log_shows_only_what_everyone_may_read(alice: Person) -> None:
    post = published_by(alice, "Before")
    alice.patch(f"/posts/{post.pk}", {"title": "After"})
    assert title_in_the_log(post) == "After"
    alice.patch(f"/posts/{post.pk}", {"status": "archived"})
    assert title_in_the_log(post) == ""
    alice.post(f"/posts/{post.pk}/publish")
    assert title_in_the_log(post) == "After"
