"""How long jobs took is counted for all workers together."""

from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError

from apps.accounts.tests.people import Person
from apps.core.tests.together import together
from apps.jobs import durations as module
from apps.jobs.durations import BOUNDS, Durations, stored_durations
from apps.jobs.models import AttemptCount, Job
from apps.jobs.tests import tasks
from testing.server import python_process, until

pytestmark = pytest.mark.django_db

MAIL = ("apps.mail.tasks.new_device_mail", "completed")


def counted(*up_to: str, seconds: float) -> list[Any]:
    """Return what a histogram has of attempts up to these bounds."""
    return [*(up_to.count(bound) for bound in BOUNDS), pytest.approx(seconds)]


def test_two_workers_add_to_one_histogram() -> None:
    one, other = Durations(), Durations()
    one.observe(*MAIL, 0.1)
    one.observe(*MAIL, 7000.0)
    other.observe(*MAIL, 0.3)
    for _ in range(2):
        one.store()
        other.store()
    assert stored_durations() == {MAIL: counted("0.1", "+Inf", "0.5", seconds=7000.4)}


def test_what_could_not_be_stored_is_stored_later(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Durations()
    found.observe(*MAIL, 0.3)

    def fails(*_: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(module, "insert", fails)
    with pytest.raises(DatabaseError):
        found.store()
    monkeypatch.undo()
    found.observe(*MAIL, 0.3)
    found.store()
    assert stored_durations() == {MAIL: counted("0.5", "0.5", seconds=0.6)}


def test_a_bound_of_another_release_counts_for_the_next_one() -> None:
    for up_to in ("0.2", "0.5"):
        AttemptCount.objects.create(
            task=MAIL[0], outcome=MAIL[1], up_to=up_to, count=1, microseconds=200_000
        )
    assert stored_durations() == {MAIL: counted("0.5", "0.5", seconds=0.4)}


@pytest.mark.django_db(transaction=True)
def test_workers_store_at_once() -> None:
    workers = [Durations() for _ in range(4)]
    for one in workers:
        for number in range(20):
            one.observe(f"task {number}", "completed", 0.3)
    assert together(*[one.store for one in workers]) == [None] * 4
    assert [sum(values[:-1]) for values in stored_durations().values()] == [4] * 20


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_worker_that_stops_has_stored_what_it_did(alice: Person, tmp_path: Path) -> None:
    tasks.write_post.enqueue(alice.id, "Ahoy")
    with python_process(tmp_path / "log", "manage.py", "worker"):
        until(lambda: Job.objects.filter(status="completed").exists(), seconds=60)
    values = stored_durations()["apps.jobs.tests.tasks.write_post", "completed"]
    assert sum(values[:-1]) == 1
