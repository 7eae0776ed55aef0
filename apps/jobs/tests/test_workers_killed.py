"""A worker is killed at each point of a job, and another one goes on: the effect is there once."""

import pytest

from apps.accounts.tests.people import Person
from apps.jobs.models import Job
from apps.jobs.tests import tasks
from apps.jobs.tests.workers import (
    AFTER_IT_IS_TAKEN,
    AFTER_ITS_END,
    BEFORE_IT_IS_TAKEN,
    BEFORE_ITS_END_IS_WRITTEN,
    KillWorker,
    go_on,
)
from apps.posts.models import Post

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

AFTER_THE_EFFECT = ("after", "apps.jobs.tests.tasks.write")


@pytest.mark.parametrize(
    ("point", "done_before"),
    [
        (BEFORE_IT_IS_TAKEN, False),
        (AFTER_IT_IS_TAKEN, False),
        (AFTER_THE_EFFECT, False),
        (BEFORE_ITS_END_IS_WRITTEN, False),
        (AFTER_ITS_END, True),
    ],
)
def test_the_effect_of_a_job_is_there_once(
    alice: Person, kill_worker: KillWorker, point: tuple[str, str], done_before: bool
) -> None:
    tasks.write_post.enqueue(alice.id, "Ahoy")
    kill_worker(*point)
    assert Post.objects.exists() == done_before
    go_on()
    assert Job.objects.get(task__endswith="write_post").status == "completed"
    assert Post.objects.count() == 1


def test_each_step_is_done_once(alice: Person, kill_worker: KillWorker) -> None:
    tasks.write_posts.enqueue(alice.id, 6)
    kill_worker(*AFTER_THE_EFFECT, times=3)
    job = Job.objects.get(task__endswith="write_posts")
    assert (job.status, job.checkpoint, Post.objects.count()) == ("processing", 2, 2)
    go_on()
    assert Post.objects.count() == 6
