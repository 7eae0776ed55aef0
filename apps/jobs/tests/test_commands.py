"""The commands about jobs: worker and jobs."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.core.ids import uuid7
from apps.jobs.models import Job

pytestmark = pytest.mark.django_db


def job(**values: Any) -> Job:
    """Return a job, by default one that failed."""
    now = timezone.now()
    given = {"status": "failed", "finished_at": now, "error": "No wind", **values}
    return Job.objects.create(
        task="apps.jobs.upkeep.prune",
        queue="upkeep",
        priority=0,
        max_attempts=3,
        created_at=now,
        **given,
    )


def said(*arguments: str) -> str:
    """Return what the command jobs prints."""
    output = StringIO()
    call_command("jobs", *arguments, stdout=output)
    return output.getvalue()


@pytest.mark.parametrize("threads", ["0", "-1", "21", "many"])
def test_a_number_of_threads_that_cannot_be_is_refused(threads: str) -> None:
    with pytest.raises(CommandError, match="--threads: use a whole number from 1 to 20"):
        call_command("worker", f"--threads={threads}")


def test_an_operator_sees_why_jobs_failed() -> None:
    failed = job()
    job(status="completed", error="")
    listed = said("list", "--status", "failed").splitlines()
    assert len(listed) == 1
    assert str(failed.pk) in listed[0]
    assert "No wind" in listed[0]
    assert len(said("list", "--most", "1").splitlines()) == 1


def test_an_operator_has_a_job_tried_again() -> None:
    failed = job()
    assert "is tried again" in said("retry", str(failed.pk))
    failed.refresh_from_db()
    assert failed.status == "pending"


def test_a_job_that_is_not_there_or_did_not_fail_is_not_tried_again() -> None:
    done = job(status="completed", error="")
    for pk, why in ((uuid7(), "Job not found"), (done.pk, "Only a job that failed")):
        with pytest.raises(CommandError, match=why):
            said("retry", str(pk))
    done.refresh_from_db()
    assert done.status == "completed"


def test_a_job_whose_place_another_one_has_taken_is_not_tried_again() -> None:
    failed = job(unique_key="once")
    job(unique_key="once", status="pending", finished_at=None, due_at=timezone.now(), error="")
    with pytest.raises(CommandError, match="Another job has taken its place"):
        said("retry", str(failed.pk))
    failed.refresh_from_db()
    assert (failed.status, failed.error) == ("failed", "No wind")


def test_an_operator_deletes_the_jobs_that_ended_long_ago() -> None:
    job()
    job(finished_at=timezone.now() - timedelta(days=31))
    assert said("purge") == "1 jobs deleted\n"
    assert Job.objects.count() == 1
