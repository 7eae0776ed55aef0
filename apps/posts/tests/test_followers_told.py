"""Followers of an author are told of a post once, by every road to published."""

from typing import Any

import pytest
from django.db import connection

from apps.accounts.relations import user_follow
from apps.accounts.tests.people import Person
from apps.jobs.attempts import attempt
from apps.jobs.leases import jobs_take
from apps.jobs.models import Job
from apps.jobs.tasks import QUEUES
from apps.notifications.models import Notification
from apps.posts import tasks
from apps.posts.models import Post
from apps.posts.services import post_delete, post_publish, post_update
from apps.posts.tests.factories import archived_by, draft_of, published_by
from apps.realtime.models import LoggedEvent
from apps.realtime.streams import USER

pytestmark = pytest.mark.django_db


@pytest.fixture
def followers(alice: Person, bob: Person, carol: Person) -> list[Person]:
    """Bob and Carol, who follow Alice."""
    for one in (bob, carol):
        user_follow(one.user, user_id=alice.user.pk)
    return [bob, carol]


def work() -> None:
    """Do all jobs that wait, as a worker does."""
    while jobs := jobs_take("worker", QUEUES, 10):
        for job in jobs:
            attempt(job)


def told() -> list[str]:
    found = Notification.objects.filter(type="new_post").order_by("recipient__name")
    return list(found.values_list("recipient__name", flat=True))


def test_a_follower_is_told_what_was_published(alice: Person, followers: list[Person]) -> None:
    post = published_by(alice, "Night ferry")
    work()
    [one] = followers[0].get("/notifications").json()["data"]
    assert one["title"] == one["data"]["message"] == "New post published: Night ferry"
    assert one["data"]["type"] == one["type"] == "new_post"
    assert (one["data"]["postId"], one["data"]["title"]) == (str(post.pk), "Night ferry")
    assert one["data"]["author"] == one["actor"]
    assert one["actor"]["name"] == "Alice"
    assert one["url"] == f"/posts/{post.slug}"


@pytest.mark.parametrize(
    "road",
    [
        ["create"],
        ["publish"],
        ["published"],
        ["create", "archived", "published"],
        ["publish", "archived", "publish"],
        ["published", "archived", "published", "archived", "publish"],
    ],
    ids="-".join,
)
def test_each_follower_is_told_once_by_every_road(
    alice: Person, followers: list[Person], road: list[str]
) -> None:
    post = published_by(alice) if road[0] == "create" else draft_of(alice)
    for step in road:
        if step == "publish":
            post_publish(alice.user, post_id=post.pk)
        elif step != "create":
            post_update(alice.user, post_id=post.pk, status=step)
        work()
    # Their notifications are gone once the post was archived; the events stay.
    heard = LoggedEvent.objects.filter(type="notification").values_list("stream", flat=True)
    assert sorted(heard) == sorted(USER.name(one.user.pk) for one in followers)


def test_a_draft_is_told_to_nobody(alice: Person, followers: list[Person]) -> None:
    draft_of(alice)
    work()
    assert told() == []
    assert not Job.objects.exists()


@pytest.mark.parametrize("hidden", ["archived", "deleted"])
def test_a_post_that_is_hidden_before_the_job_is_told_to_nobody(
    alice: Person, followers: list[Person], hidden: str
) -> None:
    if hidden == "archived":
        archived_by(alice)
    else:
        post_delete(alice.user, post_id=published_by(alice).pk)
    work()
    assert told() == []


def test_who_follows_later_is_not_told(alice: Person, bob: Person) -> None:
    published_by(alice)
    user_follow(bob.user, user_id=alice.user.pk)
    work()
    assert told() == []


def test_blocked_users_are_not_told(alice: Person, bob: Person, followers: list[Person]) -> None:
    alice.post(f"/users/{bob.id}/block")
    published_by(alice)
    work()
    assert told() == ["Carol"]


def test_a_job_whose_worker_ended_goes_on_with_the_next_batch(
    alice: Person, followers: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker ends in the second batch, whose notifications are undone with it."""
    monkeypatch.setattr(tasks, "TOLD_AT_ONCE", 1)
    tell, calls = tasks._tell, []

    def tell_and_end(post: Post, users: Any) -> None:
        tell(post, users)
        calls.append(users)
        if len(calls) == 2:
            raise OSError("The worker ended")

    monkeypatch.setattr(tasks, "_tell", tell_and_end)
    published_by(alice)
    work()
    assert told() == ["Bob"]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET due_at = created_at")
    work()
    assert told() == ["Bob", "Carol"]
    assert [users for users in calls if users == calls[0]] == [calls[0]]
