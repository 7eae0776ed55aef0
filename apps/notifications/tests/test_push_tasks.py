"""A notification is pushed to each browser of its recipient, and what became of it is known."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import orjson
import pytest
from django.db import transaction
from django.utils import timezone

from apps.accounts.tests.people import Person
from apps.core.tests.together import together
from apps.jobs.attempts import attempt
from apps.jobs.leases import jobs_take
from apps.jobs.models import Job
from apps.jobs.services import jobs_fail_abandoned
from apps.jobs.tasks import QUEUES
from apps.notifications import push_tasks
from apps.notifications.models import Delivery, Notification, PushSubscription
from apps.notifications.push_encryption import LONGEST
from apps.notifications.push_messages import push_message
from apps.notifications.push_subscriptions import MOST_BROWSERS
from apps.notifications.push_tasks import push_to, pushes_enqueue
from apps.notifications.tests.push_service import Browser, PushService
from apps.notifications.tests.test_notify import tell
from apps.notifications.tests.test_push_subscriptions import subscribe
from apps.notifications.web_push import web_push

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _network(push_service: PushService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every push service on this machine."""
    here = partial(web_push, network=push_service.network)
    monkeypatch.setattr(push_tasks, "web_push", here)


def push(person: Person, **told: Any) -> Notification:
    """Tell a user something, by push too."""
    [notification] = tell([person], **told)
    # What decides when it leaves.
    Job.objects.exclude(task__endswith=".push_to").delete()
    enqueue(notification)
    return notification


def enqueue(notification: Notification) -> None:
    found = Delivery.objects.filter(notification=notification, channel="push")
    found.update(decision="pending", reason="due")
    with transaction.atomic():
        pushes_enqueue(found.get())


def jobs() -> list[Job]:
    return list(Job.objects.filter(task__endswith=".push_to").order_by("pk"))


def take() -> Job:
    [job] = jobs_take("worker", QUEUES, 1)
    return job


def work() -> None:
    """Do each job that is due."""
    while found := jobs_take("worker", QUEUES, 10):
        for job in found:
            attempt(job)


def let_time_pass() -> None:
    """Let everything be due that waits."""
    past = timezone.now() - timedelta(seconds=1)
    Job.objects.filter(status="pending").update(due_at=past)
    PushSubscription.objects.exclude(paused_until=None).update(paused_until=past)


def work_until_the_end() -> None:
    while Job.objects.exclude(due_at=None).exists():
        let_time_pass()
        work()


def decided(notification: Notification) -> tuple[str, str]:
    found = Delivery.objects.get(notification=notification, channel="push")
    return found.decision, found.reason


def test_each_browser_shows_what_its_user_is_told(
    alice: Person, bob: Person, push_service: PushService
) -> None:
    laptop, phone, bobs = Browser("laptop"), Browser("phone"), Browser("bobs")
    for person, browser in ((alice, laptop), (alice.another_device(), phone), (bob, bobs)):
        subscribe(person, browser)
    told = push(alice, title="Ahoy", body="The boat is in.", url="/posts/boat")
    work()
    expected = {
        "id": str(told.pk),
        "type": "test",
        "category": "posts",
        "title": "Ahoy",
        "body": "The boat is in.",
        "url": "/posts/boat",
        "count": 1,
    }
    assert laptop.received(push_service) == phone.received(push_service) == [expected]
    assert bobs.received(push_service) == []
    assert decided(told) == ("sent", "sent")
    assert not PushSubscription.objects.filter(session__user=alice.user, last_sent_at=None).exists()
    assert {job.result for job in jobs()} == {"The push service answers 201"}


def test_a_job_that_waits_already_is_not_stored_again(alice: Person) -> None:
    subscribe(alice, Browser("laptop"))
    told = push(alice)
    enqueue(told)
    assert len(jobs()) == 1


def test_without_a_browser_nothing_is_pushed(alice: Person) -> None:
    told = push(alice)
    assert (decided(told), jobs()) == (("skipped", "no_subscription"), [])


def test_the_latest_browsers_get_it_if_there_are_too_many(
    alice: Person, push_service: PushService
) -> None:
    first = Browser("first")
    subscribe(alice, first)
    others = [Browser(str(number)) for number in range(MOST_BROWSERS)]
    for browser in others:
        subscribe(alice.another_device(), browser)
    push(alice)
    work()
    assert first.received(push_service) == []
    assert all(len(browser.received(push_service)) == 1 for browser in others)


def test_what_was_read_is_not_pushed(alice: Person, push_service: PushService) -> None:
    subscribe(alice, Browser("laptop"))
    told = push(alice)
    alice.post("/notifications/read", {"all": True})
    work()
    assert (decided(told), push_service.heard) == (("cancelled", "read"), [])


def test_what_a_user_wants_no_more_is_not_pushed_when_its_push_service_is_back(
    alice: Person, push_service: PushService
) -> None:
    subscribe(alice, Browser("laptop"))
    push_service.status = 503
    told = push(alice)
    work()
    alice.put("/notifications/preferences", {"categories": {"posts": False}})
    push_service.status = 201
    let_time_pass()
    work()
    assert (decided(told), len(push_service.heard)) == (("skipped", "category_off"), 1)


def test_what_waited_until_quiet_hours_leaves_after_them(
    alice: Person, push_service: PushService
) -> None:
    subscribe(alice, Browser("laptop"))
    told = push(alice)
    before, after = (timezone.now() + timedelta(hours=hours) for hours in (-1, 1))
    quiet = {"from": f"{before:%H:%M}", "to": f"{after:%H:%M}", "timezone": "UTC"}
    alice.put("/notifications/preferences", {"quietHours": quiet})
    work()
    [job] = jobs()
    assert (decided(told), job.status, job.attempts) == (("pending", "quiet_hours"), "pending", 0)
    alice.put("/notifications/preferences", {"quietHours": None})
    let_time_pass()
    work()
    assert (decided(told), len(push_service.heard)) == (("sent", "sent"), 1)


def test_what_is_read_while_it_is_pushed_has_left(
    alice: Person, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(alice, Browser("laptop"))
    told = push(alice)
    send = partial(web_push, network=push_service.network)

    def read_meanwhile(*given: Any) -> Any:
        alice.post("/notifications/read", {"all": True})
        return send(*given)

    monkeypatch.setattr(push_tasks, "web_push", read_meanwhile)
    work()
    assert decided(told) == ("sent", "sent")


@pytest.mark.parametrize("status", [404, 410])
def test_a_browser_that_is_gone_is_forgotten(
    alice: Person, push_service: PushService, status: int
) -> None:
    subscribe(alice, Browser("laptop"))
    push_service.status = status
    told = push(alice)
    work()
    assert decided(told) == ("skipped", "no_subscription")
    assert not PushSubscription.objects.exists()
    assert [job.status for job in jobs()] == ["completed"]


def test_one_browser_that_is_gone_leaves_the_others(
    alice: Person, push_service: PushService
) -> None:
    subscribe(alice, Browser("gone"))
    phone = Browser("phone")
    subscribe(alice.another_device(), phone)
    push_service.statuses = {"/gone": 410}
    told = push(alice)
    work()
    assert (decided(told), len(phone.received(push_service))) == (("sent", "sent"), 1)
    assert PushSubscription.objects.get().endpoint.endswith("/phone")


def test_a_refusal_is_final_unless_another_browser_gets_it(
    alice: Person, push_service: PushService
) -> None:
    subscribe(alice, Browser("refused"))
    push_service.statuses = {"/refused": 403}
    told = push(alice, key="first")
    work()
    assert (decided(told), len(push_service.heard)) == (("failed", "refused"), 1)
    let_time_pass()
    subscribe(alice.another_device(), Browser("phone"))
    told = push(alice, key="second")
    work()
    assert decided(told) == ("sent", "sent")


@pytest.mark.parametrize("first", [0, 1])
def test_the_last_browser_to_end_decides(
    alice: Person, push_service: PushService, first: int
) -> None:
    subscribe(alice, Browser("refused"))
    subscribe(alice.another_device(), Browser("gone"))
    push_service.statuses = {"/refused": 403, "/gone": 410}
    told = push(alice)
    taken = [take(), take()]
    attempt(taken[first])
    assert decided(told) == ("pending", "due")
    attempt(taken[1 - first])
    assert decided(told) == ("failed", "refused")


def test_a_push_service_that_is_down_is_tried_again(
    alice: Person, push_service: PushService
) -> None:
    laptop = Browser("laptop")
    subscribe(alice, laptop)
    push_service.status, push_service.answer = 503, {"Retry-After": "600"}
    told = push(alice)
    work()
    [job] = jobs()
    assert (job.status, job.error) == ("pending", "TryLater: The push service answers 503")
    assert job.due_at is not None
    assert job.due_at - timezone.now() > timedelta(seconds=500)
    assert decided(told) == ("pending", "due")
    push_service.status = 201
    work_until_the_end()
    assert decided(told) == ("sent", "sent")
    assert PushSubscription.objects.values_list("failures", "paused_until").get() == (0, None)


def test_the_attempts_at_a_push_have_an_end(alice: Person, push_service: PushService) -> None:
    subscribe(alice, Browser("laptop"))
    push_service.status = 503
    told = push(alice)
    work_until_the_end()
    assert decided(told) == ("failed", "unreachable")
    assert ([job.status for job in jobs()], len(push_service.heard)) == (["failed"], 10)
    assert PushSubscription.objects.get().failures == 10


def test_what_waits_for_a_browser_that_failed_is_tried_one_at_a_time(
    alice: Person, push_service: PushService
) -> None:
    laptop = Browser("laptop")
    subscribe(alice, laptop)
    push_service.status = 503
    push(alice, key="first")
    work()
    others = [push(alice, key=str(number)) for number in range(5)]
    work()
    assert len(push_service.heard) == 1
    let_time_pass()
    work()
    assert len(push_service.heard) == 2
    assert {decided(one) for one in others} == {("pending", "due")}
    push_service.status = 201
    work_until_the_end()
    assert len(laptop.shown(push_service)) == 6
    assert {decided(one) for one in others} == {("sent", "sent")}


def test_what_waits_for_a_user_who_logs_out_is_not_pushed(
    alice: Person, bob: Person, push_service: PushService
) -> None:
    shared = Browser("shared")
    subscribe(alice, shared)
    told = push(alice)
    alice.post("/auth/logout")
    subscribe(bob, shared)
    work()
    assert (decided(told), push_service.heard) == (("skipped", "no_subscription"), [])


def lose(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(due_at=timezone.now() - timedelta(seconds=1))


def dies(monkeypatch: pytest.MonkeyPatch, name: str) -> Callable[..., None]:
    """Replace a function by one that never returns, as in a worker that is killed in it."""

    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    def attempt_and_die(job: Job) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(push_tasks, name, die)
            with pytest.raises(Killed):
                attempt(job)
        lose(job)

    return attempt_and_die


def test_a_worker_that_dies_after_the_push_repeats_it_with_the_same_id(
    alice: Person, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop = Browser("laptop")
    subscribe(alice, laptop)
    told = push(alice)
    dies(monkeypatch, "_sent")(take())
    assert decided(told) == ("pending", "due")
    work()
    assert [one["id"] for one in laptop.received(push_service)] == [str(told.pk)] * 2
    assert [one["id"] for one in laptop.shown(push_service)] == [str(told.pk)]
    assert len({headers["Topic"] for _, headers, _ in push_service.heard}) == 1
    assert decided(told) == ("sent", "sent")


def test_a_worker_that_dies_after_the_record_repeats_nothing(
    alice: Person, push_service: PushService
) -> None:
    subscribe(alice, Browser("laptop"))
    told = push(alice)
    job = take()
    attempt(job)
    # The end of the job is what was lost.
    Job.objects.filter(pk=job.pk).update(
        status="processing", lease=job.lease, finished_at=None, due_at=timezone.now()
    )
    lose(job)
    work()
    assert (decided(told), len(push_service.heard)) == (("sent", "sent"), 1)


def test_a_worker_that_dies_in_the_last_attempt_leaves_no_push_pending(
    alice: Person, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(alice, Browser("laptop"))
    told = push(alice)
    Job.objects.update(attempts=push_to.attempts - 1)
    dies(monkeypatch, "_push")(take())
    assert jobs_fail_abandoned() == 1
    assert decided(told) == ("failed", "unreachable")


def test_a_last_attempt_that_succeeds_counts(alice: Person) -> None:
    subscribe(alice, Browser("laptop"))
    told = push(alice)
    Job.objects.update(attempts=push_to.attempts - 1)
    work()
    assert decided(told) == ("sent", "sent")


@pytest.mark.django_db(transaction=True)
def test_of_browsers_that_are_gone_at_once_the_last_one_decides(
    alice: Person, push_service: PushService
) -> None:
    push_service.status = 410
    devices = [alice, *(alice.another_device() for _ in range(3))]
    for round_ in range(3):
        for number, device in enumerate(devices):
            subscribe(device, Browser(f"{round_}-{number}"))
        told = push(alice, key=str(round_))
        results = together(*(partial(attempt, take()) for _ in devices))
        assert results == [None] * len(devices)
        assert decided(told) == ("skipped", "no_subscription")


@pytest.mark.parametrize("character", ["a", "ä", "€", "😀", '"', "\x01"])
def test_a_long_message_is_made_shorter(alice: Person, character: str) -> None:
    [told] = tell([alice], title=character * 500, body=character * 1000, url="/" + "a" * 499)
    message = push_message(told)
    size = len(orjson.dumps(message))
    assert size <= LONGEST
    assert told.body.startswith(message["body"].removesuffix("…"))
    assert told.title.startswith(message["title"].removesuffix("…"))
    if message["body"] != told.body:
        # One more character would be too many.
        assert size > LONGEST - 6


def test_a_path_that_does_not_fit_is_left_out(alice: Person) -> None:
    told = Notification(recipient=alice.user, title="Ahoy", url="/" + "\x01" * 1000)
    message = push_message(told)
    assert (message["url"], message["title"]) == ("", "")
