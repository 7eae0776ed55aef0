"""Tasks for tests. Their effect is a post, since a row shows how often it happened."""

import sys
import time
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import BadRequest
from apps.jobs.errors import TryLater
from apps.jobs.steps import current_job
from apps.jobs.tasks import IDLE, URGENT, NotYet, job
from apps.posts.models import Post
from apps.posts.services import post_create


def write(author_id: str, title: str) -> None:
    """Write a post."""
    post_create(User.objects.get(pk=UUID(author_id)), title=title, content="Ahoy there, Ahoy")


@job(attempts=3)
def write_post(author_id: str, title: str) -> dict[str, str]:
    """Write a post, in the transaction that ends the job."""
    write(author_id, title)
    return {"title": title}


@job(priority=URGENT)
def write_urgently(author_id: str, title: str) -> None:
    """Write a post before others do."""
    write(author_id, title)


@job(priority=IDLE)
def write_some_time(author_id: str, title: str) -> None:
    """Write a post after others did."""
    write(author_id, title)


@job(attempts=3)
def write_and_fail(author_id: str, title: str) -> None:
    """Write a post, and fail."""
    write(author_id, title)
    raise RuntimeError("No wind")


@job(attempts=3)
def refuse() -> None:
    """Refuse, which another attempt would do too."""
    raise BadRequest


@job(attempts=1)
def exit_at_once() -> None:
    """Exit, as a library may that is made for commands."""
    sys.exit("No wind")


@job(attempts=1)
def fail_with(said: str) -> None:
    """Fail with a text."""
    raise RuntimeError(said.replace("NUL", "\0").replace("HALF", "\ud83d"))


@job(attempts=2)
def wait_for_wind(seconds: float) -> None:
    """Ask to be tried again later."""
    raise TryLater("No wind", seconds)


@job(attempts=3, atomic=False)
def write_on_sunday(author_id: str, title: str, sunday: str) -> None:
    """Write a post, or wait for a day."""
    if timezone.now() < datetime.fromisoformat(sunday):
        raise NotYet(datetime.fromisoformat(sunday))
    write(author_id, title)


@job(atomic=False)
def write_posts(author_id: str, count: int) -> int:
    """Write posts one after the other, each in a step."""
    running = current_job()
    for number in range(running.checkpoint or 0, count):
        with running.step(number + 1, progress=100 * (number + 1) // count):
            write(author_id, f"Post {number}")
    return count


@job(atomic=False, time_limit=0.2, attempts=1)
def hang_until_there_is_a_post() -> None:
    """Take longer than it may."""
    while not Post.objects.exists():
        time.sleep(0.01)


@job(atomic=False)
def wait_for_a_post() -> None:
    """Take as long as it takes somebody to write a post."""
    while not Post.objects.exists():
        time.sleep(0.01)
