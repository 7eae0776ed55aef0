"""Publishing a post by any route announces it exactly once."""

from typing import Any

import pytest

from apps.accounts.models import User
from apps.accounts.tests.people import Person, person
from apps.core.tests.together import together
from apps.posts.errors import AlreadyPublished
from apps.posts.models import Post
from apps.posts.services import post_publish, post_update
from apps.posts.tests.factories import (
    archived_by,
    draft_of,
    logged_events,
    post_of,
    published_by,
    row,
)
from apps.posts.tests.refusals import require_refused
from apps.realtime.event_log import events_after
from apps.realtime.models import LoggedEvent
from testing.client import ContractClient

pytestmark = pytest.mark.django_db

ANNOUNCED_ONCE = [("feed", "post_published")]


def publish(person: Person, post: Post) -> Any:
    """Publish the post as this user and return the answer."""
    return person.post(f"/posts/{post.pk}/publish")


def test_the_author_publishes_a_draft(alice: Person) -> None:
    """Publishing sets the time and announces the post."""
    post = draft_of(alice)
    response = publish(alice, post)
    assert response.status_code == 200
    assert response.json()["message"] == "Post published successfully"
    shown = response.json()["data"]
    assert (shown["status"], shown["version"]) == ("published", 2)
    assert shown["publishedAt"] >= shown["createdAt"]
    assert logged_events() == ANNOUNCED_ONCE


def test_a_published_post_cannot_be_published_again(alice: Person) -> None:
    post = draft_of(alice)
    publish(alice, post)
    before = row(post), logged_events()
    response = publish(alice, post)
    assert response.json()["code"] == "BAD_REQUEST"
    require_refused(response, post, before, 400, "Post is already published")


@pytest.mark.parametrize("status", ["draft", "archived"])
def test_moderator_cannot_publish_posts_of_others(
    alice: Person, moderator: Person, status: str
) -> None:
    post = post_of(alice, status)
    before = row(post), logged_events()
    response = publish(moderator, post)
    require_refused(response, post, before, 403, "You can only publish your own posts")


def test_other_user_cannot_publish_a_published_post(alice: Person, bob: Person) -> None:
    post = published_by(alice)
    before = row(post), logged_events()
    response = publish(bob, post)
    assert response.json()["code"] == "FORBIDDEN"
    require_refused(response, post, before, 403, "You can only publish your own posts")


@pytest.mark.parametrize("status", ["draft", "archived"])
def test_other_user_cannot_find_a_hidden_post_to_publish(
    alice: Person, bob: Person, status: str
) -> None:
    """A 403 would reveal that the post exists."""
    post = post_of(alice, status)
    before = row(post), logged_events()
    require_refused(publish(bob, post), post, before, 404, "Post not found")


def test_anonymous_user_cannot_publish(alice: Person, anonymous: ContractClient) -> None:
    post = draft_of(alice)
    before = row(post), logged_events()
    response = anonymous.post(f"/api/v1/posts/{post.pk}/publish")
    require_refused(response, post, before, 401, "Authentication is required")


@pytest.mark.parametrize(
    "route",
    [
        ["create"],
        ["publish"],
        ["published"],
        ["archived", "publish"],
        ["archived", "published"],
        ["create", "published"],
        ["create", "archived", "publish"],
        ["publish", "archived", "published"],
        ["published", "archived", "publish", "archived", "publish"],
    ],
    ids="-".join,
)
def test_a_post_is_announced_once_however_it_becomes_public(
    alice: Person, route: list[str]
) -> None:
    """Create, update and publish can all make a post public."""
    first, *rest = route
    post = published_by(alice) if first == "create" else draft_of(alice)
    for step in rest if first == "create" else route:
        if step == "publish":
            post = post_publish(alice.user, post_id=post.pk)
        else:
            post = post_update(alice.user, post_id=post.pk, status=step)
    assert post.status == "published"
    assert logged_events() == ANNOUNCED_ONCE


def test_the_first_publishing_sets_the_time(alice: Person) -> None:
    """Publishing again after archiving is not a new publication."""
    post = archived_by(alice)
    publish(alice, post)
    assert row(post)["published_at"] == post.published_at


@pytest.mark.django_db(transaction=True)
def test_one_of_two_concurrent_publishes_announces_and_one_is_refused(alice: Person) -> None:
    """The lock of the row decides which request publishes."""
    post = draft_of(alice)
    phone, tablet = alice, alice.another_device()
    outcomes: Any = together(lambda: publish(phone, post), lambda: publish(tablet, post))
    answers = sorted((one.status_code, one.json()["message"]) for one in outcomes)
    assert answers == [(200, "Post published successfully"), (400, "Post is already published")]
    assert logged_events() == ANNOUNCED_ONCE
    assert row(post)["version"] == 2


@pytest.mark.django_db(transaction=True)
def test_a_concurrent_update_and_publish_announce_once(alice: Person) -> None:
    """The lock of the row decides which request publishes."""
    post = draft_of(alice)

    def update() -> Post:
        return post_update(alice.user, post_id=post.pk, status="published")

    outcomes = together(update, lambda: post_publish(alice.user, post_id=post.pk), update, update)
    assert all(isinstance(one, Post | AlreadyPublished) for one in outcomes), outcomes
    assert logged_events() == ANNOUNCED_ONCE


def test_the_announcement_goes_to_the_feed_only(alice: Person, bob: Person) -> None:
    """One event serves all subscribers; a copy per user would grow with their number."""
    publish(alice, draft_of(alice))
    assert set(LoggedEvent.objects.values_list("stream", flat=True)) == {"feed"}


def test_the_announcement_is_kept_for_offline_users(alice: Person) -> None:
    """Users who were offline read the events that they missed from the log."""
    for title in ("Harbour lights", "Night ferry"):
        publish(alice, draft_of(alice, title))
    missed = events_after("feed", 0)
    assert missed.complete
    assert [frame.seq for frame in missed.frames] == [1, 2]
    assert "Night ferry" in missed.frames[1].content


def test_the_announcement_shows_the_post_as_in_a_list(
    alice: Person, anonymous: ContractClient
) -> None:
    """Clients show an announced post without another request."""
    publish(alice, draft_of(alice))
    [item] = anonymous.get("/api/v1/posts").json()["data"]
    assert LoggedEvent.objects.get().data == {"post": item}


def test_administrator_cannot_publish_posts_of_others(alice: Person) -> None:
    administrator = person("Ada", User.Role.ADMIN)
    post = draft_of(alice)
    before = row(post), logged_events()
    response = publish(administrator, post)
    require_refused(response, post, before, 403, "You can only publish your own posts")
