"""What followers were told of a post is taken back when the post is hidden from them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from apps.accounts.relations import user_follow
from apps.accounts.tests.people import Person
from apps.core.tests.together import overlapping
from apps.jobs.attempts import attempt
from apps.jobs.leases import jobs_take
from apps.jobs.tasks import QUEUES
from apps.notifications import withdrawing
from apps.notifications.models import Delivery, Notification
from apps.posts import tasks
from apps.posts.models import Post
from apps.posts.services import post_delete, post_publish, post_restore, post_update
from apps.posts.tests.factories import published_by
from apps.realtime.models import LoggedEvent

pytestmark = pytest.mark.django_db

TITLE = "Xylophone"


@pytest.fixture(autouse=True)
def followers(alice: Person, bob: Person, carol: Person) -> list[Person]:
    """Bob and Carol, who follow Alice."""
    for one in (bob, carol):
        user_follow(one.user, user_id=alice.user.pk)
    return [bob, carol]


def work() -> None:
    """Do all jobs that wait, as a worker does."""
    while jobs := jobs_take("worker", QUEUES, 1):
        attempt(jobs[0])


def archive(post: Post) -> None:
    post_update(post.author, post_id=post.pk, status="archived")


def delete(post: Post) -> None:
    post_delete(post.author, post_id=post.pk)


def unread(person: Person) -> int:
    total: int = person.get("/notifications/unread").json()["data"]["total"]
    return total


def nothing_of_it_is_left() -> bool:
    events = json.dumps(list(LoggedEvent.objects.values_list("data", flat=True)))
    return not Notification.objects.exists() and TITLE.lower() not in events.lower()


hidden = pytest.mark.parametrize("hide", [archive, delete])


@hidden
def test_its_title_is_in_no_notification_and_in_no_event(
    alice: Person, followers: list[Person], hide: Callable[[Post], None]
) -> None:
    post = published_by(alice, TITLE)
    kept = published_by(alice, "Night ferry")
    work()
    assert [unread(one) for one in followers] == [2, 2]
    before = LoggedEvent.objects.count()
    hide(post)
    work()
    for one in followers:
        assert unread(one) == 1
        [shown] = one.get("/notifications").json()["data"]
        assert shown["data"]["postId"] == str(kept.pk)
    assert not Delivery.objects.exclude(notification__key=f"new_post:{kept.pk}").exists()
    assert LoggedEvent.objects.count() == before
    logged = json.dumps(list(LoggedEvent.objects.values_list("data", flat=True)))
    assert TITLE.lower() not in logged.lower()
    assert logged.count("New post published: Night ferry") == 2 * len(followers)


def test_many_are_taken_back_in_parts(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker ends in the second part, and the next attempt takes back the rest."""
    monkeypatch.setattr(withdrawing, "WITHDRAWN_AT_ONCE", 1)
    post = published_by(alice, TITLE)
    work()
    withdraw, calls = withdrawing.notifications_withdraw, list[str]()

    def withdraw_and_end(key: str) -> int:
        withdrawn = withdraw(key)
        calls.append(key)
        if len(calls) == 2:
            raise OSError("The worker ended")
        return withdrawn

    monkeypatch.setattr(tasks, "notifications_withdraw", withdraw_and_end)
    delete(post)
    work()
    assert Notification.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET due_at = created_at WHERE due_at IS NOT NULL")
    work()
    assert nothing_of_it_is_left()


def test_a_post_that_is_hidden_between_two_parts_is_told_to_nobody(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "TOLD_AT_ONCE", 1)
    public, looks = tasks._public, list[str]()

    def public_until_now(post_id: str, **given: Any) -> Post | None:
        found = public(post_id, **given)
        looks.append(post_id)
        # The first part took two looks; this one is before the second part.
        if len(looks) == 3:
            delete(post)
        return found

    monkeypatch.setattr(tasks, "_public", public_until_now)
    post = published_by(alice, TITLE)
    work()
    assert len(looks) > 3
    assert nothing_of_it_is_left()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="Writers wait for each other on SQLite."
)
@hidden
def test_a_post_that_is_hidden_while_a_part_is_told_is_told_to_nobody(
    alice: Person, hide: Callable[[Post], None]
) -> None:
    post = published_by(alice, TITLE)

    def hide_and_work() -> None:
        hide(post)
        work()

    overlapping(work, hide_and_work)
    assert nothing_of_it_is_left()


@hidden
def test_who_was_told_once_is_not_told_again(
    alice: Person, moderator: Person, hide: Callable[[Post], None]
) -> None:
    post = published_by(alice, TITLE)
    work()
    hide(post)
    work()
    if hide is delete:
        post_restore(moderator.user, post_id=post.pk)
    else:
        post_publish(alice.user, post_id=post.pk)
    work()
    assert not Notification.objects.exists()


def test_a_post_that_is_public_again_stays_told(alice: Person, followers: list[Person]) -> None:
    """The job that would take it back runs after that."""
    post = published_by(alice, TITLE)
    work()
    archive(post)
    post_publish(alice.user, post_id=post.pk)
    work()
    assert [unread(one) for one in followers] == [1, 1]
