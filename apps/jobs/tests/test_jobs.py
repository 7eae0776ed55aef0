"""A job is stored with the change that it belongs to, and has its effect once."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from django_tasks.base import TaskResultStatus
from django_tasks.exceptions import InvalidTaskError

from apps.accounts.tests.people import Person
from apps.chat.tests.factories import user_events
from apps.jobs import waking
from apps.jobs.attempts import attempt, retry_seconds_after
from apps.jobs.errors import JobRepeated
from apps.jobs.leases import jobs_give_back, jobs_take, leases_renew
from apps.jobs.models import Job
from apps.jobs.schedules import Schedule, Scheduler
from apps.jobs.services import job_retry, jobs_fail_abandoned
from apps.jobs.tasks import QUEUES, JobTask
from apps.jobs.tests import tasks
from apps.jobs.worker import Worker
from apps.posts.models import Post
from testing.server import until

pytestmark = pytest.mark.django_db


def enqueued(task: JobTask[..., Any], *arguments: Any) -> Job:
    """Return a job that waits."""
    return Job.objects.get(pk=task.enqueue(*arguments).id)


def take() -> Job:
    """Return the next job, taken by a worker."""
    [job] = jobs_take("worker", QUEUES, 1)
    return job


def work() -> Job:
    """Return the next job, after one attempt."""
    job = take()
    attempt(job)
    return Job.objects.get(pk=job.pk)


def lose(job: Job) -> None:
    """Let the lease of a job end, as that of a worker that is dead or frozen."""
    Job.objects.filter(pk=job.pk).update(due_at=timezone.now() - timedelta(seconds=1))


def titles() -> list[str]:
    """Return the titles of all posts, the oldest first."""
    return list(Post.objects.order_by("pk").values_list("title", flat=True))


def test_a_job_of_a_change_that_is_undone_does_not_exist(alice: Person) -> None:
    with transaction.atomic():
        tasks.write_post.enqueue(alice.id, "Never")
        transaction.set_rollback(True)
    assert not Job.objects.exists()


def test_a_job_is_done_and_its_result_is_kept(alice: Person) -> None:
    result = tasks.write_post.enqueue(alice.id, "Ahoy")
    assert result.status == TaskResultStatus.READY
    done = work()
    assert (done.status, done.progress, done.attempts) == ("completed", 100, 1)
    result.refresh()
    assert result.return_value == {"title": "Ahoy"}
    assert titles() == ["Ahoy"]


def test_a_worker_takes_no_more_jobs_than_it_asks_for(alice: Person) -> None:
    for number in range(20):
        tasks.write_post.enqueue(alice.id, f"Log {number}")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Plans that ask for the jobs that are due once for each row.
            for plan in ("hashjoin", "hashagg", "mergejoin", "sort", "material"):
                cursor.execute(f"SET LOCAL enable_{plan} = off")
    assert [len(jobs_take("worker", QUEUES, 1)) for _ in range(20)] == [1] * 20
    assert jobs_take("worker", QUEUES, 1) == []


def test_the_owner_is_told_how_a_job_has_ended(alice: Person) -> None:
    own = tasks.write_post.with_options(owner_id=alice.user.pk)
    own.enqueue(alice.id, "Ahoy")
    failing = tasks.refuse.with_options(owner_id=alice.user.pk)
    failing.enqueue()
    ended = [work(), work()]
    events = [(kind, data["job"]["status"]) for kind, data in user_events(alice)]
    assert events == [("task_completed", "completed"), ("task_failed", "failed")]
    shown = alice.get(f"/jobs/{ended[1].pk}").json()["data"]
    assert shown["type"] == "refuse"
    assert shown["error"].startswith("BadRequest")


def test_an_effect_is_undone_with_the_attempt_that_fails(alice: Person) -> None:
    tasks.write_and_fail.enqueue(alice.id, "Never")
    tried = work()
    assert (tried.status, tried.attempts, tried.error) == ("pending", 1, "RuntimeError: No wind")
    assert tried.due_at is not None
    assert tried.due_at > timezone.now()
    assert titles() == []


def test_a_job_is_tried_as_often_as_it_may_and_then_fails(alice: Person) -> None:
    job = enqueued(tasks.write_and_fail, alice.id, "Never")
    for _ in range(3):
        Job.objects.filter(pk=job.pk).update(due_at=timezone.now())
        tried = work()
    assert (tried.status, tried.attempts) == ("failed", 3)
    assert jobs_take("worker", QUEUES, 1) == []


def test_a_job_whose_time_has_not_come_waits_for_it_with_all_attempts(alice: Person) -> None:
    sunday = timezone.now() + timedelta(days=3)
    job = enqueued(tasks.write_on_sunday, alice.id, "Sunday", sunday.isoformat())
    waiting = work()
    assert (waiting.status, waiting.attempts, waiting.due_at) == ("pending", 0, sunday)
    assert jobs_take("worker", QUEUES, 1) == []
    Job.objects.filter(pk=job.pk).update(
        due_at=timezone.now(),
        arguments={"args": [alice.id, "Sunday", "2026-01-04T00:00:00+00:00"], "kwargs": {}},
    )
    assert work().status == "completed"
    assert (titles(), Job.objects.count()) == (["Sunday"], 1)


def test_a_worker_that_has_lost_a_job_does_not_postpone_it(alice: Person) -> None:
    enqueued(tasks.write_on_sunday, alice.id, "Sunday", "2100-01-03T00:00:00+00:00")
    lost = take()
    lose(lost)
    held = take()
    attempt(lost)
    found = Job.objects.get()
    assert (found.status, found.lease) == ("processing", held.lease)


def test_a_refusal_is_final() -> None:
    enqueued(tasks.refuse)
    assert work().status == "failed"


def test_a_task_that_exits_fails_and_the_worker_goes_on(alice: Person) -> None:
    enqueued(tasks.exit_at_once)
    failed = work()
    assert (failed.status, failed.error) == ("failed", "SystemExit: No wind")


@pytest.mark.parametrize(("said", "kept"), [("a NUL", "a �"), ("HALF", "?")])
def test_an_error_that_no_database_can_hold_is_kept_all_the_same(said: str, kept: str) -> None:
    enqueued(tasks.fail_with, said)
    failed = work()
    assert (failed.status, failed.error) == ("failed", f"RuntimeError: {kept}")


@pytest.mark.parametrize(("attempts", "least", "most"), [(1, 1, 2), (2, 2, 4), (15, 1800, 3600)])
def test_each_attempt_waits_twice_as_long(attempts: int, least: float, most: float) -> None:
    waits = [retry_seconds_after(Job(attempts=attempts, max_attempts=20)) for _ in range(50)]
    assert all(wait is not None and least <= wait <= most for wait in waits)
    assert len(set(waits)) > 1


def test_urgent_jobs_are_done_first(alice: Person) -> None:
    tasks.write_some_time.enqueue(alice.id, "last")
    tasks.write_post.enqueue(alice.id, "second")
    tasks.write_urgently.enqueue(alice.id, "first")
    for _ in range(3):
        work()
    assert titles() == ["first", "second", "last"]


@pytest.mark.parametrize(("asked", "least"), [(600, 600), (0, 1)])
def test_a_task_may_ask_to_be_tried_later_but_no_sooner(asked: float, least: float) -> None:
    enqueued(tasks.wait_for_wind, asked)
    before = timezone.now()
    job = work()
    assert (job.status, job.error) == ("pending", "TryLater: No wind")
    assert job.due_at is not None
    assert job.due_at - before >= timedelta(seconds=least)
    Job.objects.update(due_at=before)
    assert work().status == "failed"


def test_another_priority_is_refused() -> None:
    with pytest.raises(InvalidTaskError, match="priority is one of"):
        tasks.refuse.using(priority=7)


def test_a_job_for_later_waits(alice: Person) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    tasks.write_post.with_options(run_after=tomorrow).enqueue(alice.id, "Ahoy")
    assert jobs_take("worker", QUEUES, 1) == []


def test_one_unended_job_has_a_key(alice: Person) -> None:
    keyed = tasks.write_post.with_options(unique_key="once")
    first, second = keyed.enqueue(alice.id, "Ahoy"), keyed.enqueue(alice.id, "Ahoy again")
    assert first.id == second.id
    work()
    assert keyed.enqueue(alice.id, "Later").id != first.id
    work()
    assert titles() == ["Ahoy", "Later"]


def test_a_lost_job_is_done_by_another_worker_and_what_the_first_one_did_is_undone(
    alice: Person,
) -> None:
    tasks.write_post.enqueue(alice.id, "Ahoy")
    frozen = take()
    assert jobs_take("other", QUEUES, 1) == []
    lose(frozen)
    attempt(take())
    attempt(frozen)
    assert titles() == ["Ahoy"]
    assert Job.objects.get().attempts == 2


def test_steps_are_done_once_and_go_on_where_they_ended(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = enqueued(tasks.write_posts, alice.id, 4)
    write, written = tasks.write, list[None]()

    def write_two(*given: str) -> None:
        if len(written) == 2:
            raise RuntimeError("No ink")
        written.append(write(*given))

    monkeypatch.setattr(tasks, "write", write_two)
    tried = work()
    assert (tried.checkpoint, tried.progress, tried.status) == (2, 50, "pending")
    monkeypatch.undo()
    Job.objects.filter(pk=job.pk).update(due_at=timezone.now())
    assert work().status == "completed"
    assert titles() == [f"Post {number}" for number in range(4)]


def test_a_step_of_a_lost_job_is_undone(alice: Person) -> None:
    enqueued(tasks.write_posts, alice.id, 3)
    frozen = take()
    lose(frozen)
    attempt(take())
    frozen.checkpoint = None
    attempt(frozen)
    assert len(titles()) == 3


def test_a_job_that_ends_its_workers_fails_in_the_end(alice: Person) -> None:
    own = tasks.write_post.with_options(owner_id=alice.user.pk)
    own.enqueue(alice.id, "Ahoy")
    for _ in range(3):
        lose(take())
    assert jobs_take("worker", QUEUES, 1) == []
    assert jobs_fail_abandoned() == 1
    assert Job.objects.get().status == "failed"
    assert [kind for kind, _ in user_events(alice)] == ["task_failed"]


def test_a_lease_is_renewed_until_it_is_lost(alice: Person) -> None:
    tasks.write_post.enqueue(alice.id, "Ahoy")
    job = take()
    assert leases_renew([job.lease]) == {job.pk}
    lose(job)
    take()
    assert leases_renew([job.lease]) == set()


def test_a_job_that_is_given_back_has_lost_no_attempt(alice: Person) -> None:
    tasks.write_post.enqueue(alice.id, "Ahoy")
    jobs_give_back([take().lease])
    assert Job.objects.get().attempts == 0
    assert work().status == "completed"


def test_the_owner_cancels_a_job(alice: Person, bob: Person) -> None:
    own = tasks.write_post.with_options(owner_id=alice.user.pk)
    job = enqueued(own, alice.id, "Never")
    taken = take()
    before = Job.objects.values().get()
    assert bob.post(f"/jobs/{job.pk}/cancel").status_code == 404
    assert bob.get(f"/jobs/{job.pk}").status_code == 404
    assert Job.objects.values().get() == before
    assert alice.post(f"/jobs/{job.pk}/cancel").json()["data"]["status"] == "cancelled"
    assert alice.post(f"/jobs/{job.pk}/cancel").status_code == 400
    attempt(taken)
    assert titles() == []


def test_users_list_their_own_jobs(alice: Person, bob: Person) -> None:
    for person in (alice, bob):
        tasks.write_post.with_options(owner_id=person.user.pk).enqueue(person.id, "Ahoy")
    work()
    assert [one["status"] for one in alice.get("/jobs").json()["data"]] == ["completed"]
    assert alice.get("/jobs", {"status": "failed"}).json()["data"] == []


def test_an_operator_tries_a_failed_job_again() -> None:
    enqueued(tasks.refuse)
    failed = work()
    job_retry(failed.pk)
    assert work().status == "failed"
    with pytest.raises(Exception, match="Only a job that failed"):
        job_retry(enqueued(tasks.refuse).pk)


def test_a_job_that_was_stored_again_is_not_tried_again() -> None:
    once = tasks.refuse.with_options(unique_key="once")
    enqueued(once)
    failed = work()
    again = enqueued(once)
    with pytest.raises(JobRepeated):
        job_retry(failed.pk)
    statuses = Job.objects.in_bulk([failed.pk, again.pk])
    assert (statuses[failed.pk].status, statuses[again.pk].status) == ("failed", "pending")


def test_a_periodic_job_runs_once_in_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [7_200.0]
    monkeypatch.setattr("apps.jobs.schedules.time.time", lambda: clock[0])
    monkeypatch.setattr(
        "apps.jobs.schedules.schedules", lambda: {"refuse": Schedule(tasks.refuse, every=3600)}
    )
    schedulers = [Scheduler() for _ in range(4)]
    for clock[0] in (7_200.0, 9_000.0, 10_800.0):
        for each in schedulers:
            each.enqueue_due()
    assert list(Job.objects.order_by("slot").values_list("slot", flat=True)) == [
        "refuse@2",
        "refuse@3",
    ]


def test_the_last_of_many_wake_ups_is_published(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.REDIS_URL = "redis://nobody"
    woken: list[int] = []
    published: list[list[int]] = []
    monkeypatch.setattr(waking, "with_redis", lambda *_: published.append([*woken]))
    for number in range(100):
        woken.append(number)
        waking._wake()
    until(lambda: published[-1:] == [woken])


@pytest.fixture
def start_worker() -> Iterator[Callable[[], Worker]]:
    started = []

    def start() -> Worker:
        started.append(Worker())
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.stop(5)


@pytest.mark.django_db(transaction=True)
def test_workers_do_each_job_once(alice: Person, start_worker: Callable[[], Worker]) -> None:
    for _ in range(3):
        start_worker()
    for number in range(20):
        tasks.write_post.enqueue(alice.id, f"Post {number}")
    until(lambda: Job.objects.filter(status="completed", task__endswith="write_post").count() == 20)
    assert len(titles()) == 20


@pytest.mark.django_db(transaction=True)
def test_an_attempt_that_takes_too_long_is_taken_away(
    alice: Person, start_worker: Callable[[], Worker]
) -> None:
    job = enqueued(tasks.hang_until_there_is_a_post)
    start_worker()
    until(lambda: Job.objects.get(pk=job.pk).status == "failed")
    assert Job.objects.get(pk=job.pk).error == "It took longer than 0.2 seconds."
    # Another thread has taken the place of the one that hangs.
    tasks.write_post.enqueue(alice.id, "Ahoy")
    until(lambda: titles() == ["Ahoy"])
    until(lambda: Job.objects.get(pk=job.pk).status == "failed")


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_stops_holds_what_it_is_doing(
    alice: Person, start_worker: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.jobs.worker.RENEW_SECONDS", 0.01)
    job = enqueued(tasks.wait_for_a_post)
    worker = start_worker()
    until(lambda: Job.objects.get(pk=job.pk).status == "processing")
    stopping = Thread(target=worker.stop, args=(60,))
    stopping.start()
    until(worker._stopping.is_set)
    lose(job)
    until(lambda: Job.objects.filter(pk=job.pk, due_at__gt=timezone.now()).exists())
    tasks.write(alice.id, "Ahoy")
    stopping.join()
    done = Job.objects.get(pk=job.pk)
    assert (done.status, done.attempts) == ("completed", 1)
