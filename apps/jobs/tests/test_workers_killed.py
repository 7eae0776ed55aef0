"""A worker is killed at each point of a job, and another one goes on: the effect is there once."""

import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone

from apps.accounts.tests.people import Person
from apps.jobs.attempts import attempt
from apps.jobs.leases import jobs_take
from apps.jobs.models import Job
from apps.jobs.tasks import QUEUES
from apps.jobs.tests import tasks
from apps.posts.models import Post
from testing.server import python_process

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

# manage.py worker, which kills itself where the first argument says.
KILLED_WORKER = """
import os
import signal
import sys
import django
from django.core.management import execute_from_command_line

django.setup()
from apps.jobs import attempts, services, worker
from apps.jobs.tests import tasks

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def before(function):
    def replaced(*given, **named):
        die()
    return replaced

def after(function, times=1):
    calls = []
    def replaced(*given, **named):
        result = function(*given, **named)
        calls.append(result)
        if len(calls) == times and result != []:
            die()
        return result
    return replaced

where = sys.argv[1]
if where == "before it is taken":
    worker.jobs_take = before(worker.jobs_take)
if where == "after it is taken":
    worker.attempt = before(worker.attempt)
if where == "after the effect":
    tasks.write = after(tasks.write)
if where == "before its end is written":
    attempts.job_complete = before(attempts.job_complete)
if where == "after its end":
    attempts.job_complete = after(attempts.job_complete)
    attempts.log.info = before(attempts.log.info)
if where == "in the third step":
    tasks.write = after(tasks.write, 3)
execute_from_command_line(["manage.py", "worker", "--threads", "1"])
"""


@pytest.fixture
def kill_worker(tmp_path: Path) -> Callable[[str], None]:
    def kill(where: str) -> None:
        with python_process(tmp_path / "log", "-c", KILLED_WORKER, where) as worker:
            assert worker.wait(timeout=60) == -signal.SIGKILL, (tmp_path / "log").read_text()

    return kill


def go_on() -> None:
    """Be the other worker, once the leases of the first one have ended."""
    Job.objects.filter(status="processing").update(due_at=timezone.now() - timedelta(seconds=1))
    while taken := jobs_take("other", QUEUES, 1):
        attempt(taken[0])
    connections.close_all()


@pytest.mark.parametrize(
    "where",
    [
        "before it is taken",
        "after it is taken",
        "after the effect",
        "before its end is written",
        "after its end",
    ],
)
def test_the_effect_of_a_job_is_there_once(
    alice: Person, kill_worker: Callable[[str], None], where: str
) -> None:
    tasks.write_post.enqueue(alice.id, "Ahoy")
    kill_worker(where)
    go_on()
    assert Job.objects.get(task__endswith="write_post").status == "completed"
    assert Post.objects.count() == 1


def test_each_step_is_done_once(alice: Person, kill_worker: Callable[[str], None]) -> None:
    tasks.write_posts.enqueue(alice.id, 6)
    kill_worker("in the third step")
    job = Job.objects.get(task__endswith="write_posts")
    assert (job.status, job.checkpoint, Post.objects.count()) == ("processing", 2, 2)
    go_on()
    assert Post.objects.count() == 6
