"""A post is told to thousands of followers while workers are killed in the middle of it."""

from collections import Counter
from pathlib import Path

import pytest
from django.utils import timezone

from apps.accounts.models import Follow, User
from apps.accounts.tests.people import Person
from apps.jobs.models import Job
from apps.jobs.tests.workers import KillWorker, leases_end
from apps.notifications.models import Notification
from apps.posts.tests.factories import published_by
from apps.realtime.models import LoggedEvent
from apps.realtime.streams import USER
from testing.server import python_process, until

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

FOLLOWERS, PART = 3_000, 100
POINTS = (
    ("before", "apps.posts.tasks._tell", 3),
    ("before", "apps.notifications.services.notifications_made", 3),
    ("after", "apps.posts.tasks._tell", 3),
    # Each part has two looks at the post: one before its transaction, and one in it.
    ("before", "apps.posts.tasks._public", 5),
)


def followed_by_many(person: Person) -> list[User]:
    """Have so many users follow a person, and return them."""
    users = [
        User(name=f"Fan {number}", email=f"fan{number}@example.com", status=User.Status.ACTIVE)
        for number in range(FOLLOWERS)
    ]
    User.objects.bulk_create(users)
    now = timezone.now()
    Follow.objects.bulk_create(
        Follow(follower=one, followed=person.user, created_at=now) for one in users
    )
    return users


def told() -> Job:
    return Job.objects.get(task__endswith="tell_followers")


def test_each_follower_has_one_notification_and_one_event(
    alice: Person, kill_worker: KillWorker, tmp_path: Path
) -> None:
    """Each of four workers tells two parts, and is killed in the third or before it."""
    fans = followed_by_many(alice)
    published_by(alice)
    for number, (when, call, times) in enumerate(POINTS, 1):
        kill_worker(when, call, times, **{"apps.posts.tasks.TOLD_AT_ONCE": PART})
        assert told().status == "processing"
        assert Notification.objects.count() == 2 * PART * number
        leases_end()
    with python_process(tmp_path / "last.log", "manage.py", "worker"):
        until(lambda: told().status == "completed", seconds=60)
    expected = {one.pk: 1 for one in fans}
    rows = Notification.objects.values_list("recipient", flat=True)
    assert Counter(rows) == expected
    events = LoggedEvent.objects.filter(type="notification").values_list("stream", flat=True)
    assert Counter(events) == {USER.name(one): 1 for one in expected}
