"""Browsers subscribe to web push, each for one session."""

import pytest

from apps.accounts.tests.people import Person
from apps.jobs.models import Job
from apps.notifications.models import Delivery, PushSubscription
from apps.notifications.push_subscriptions import subscribed_among
from apps.notifications.push_tasks import pushes_enqueue
from apps.notifications.tests.test_notify import tell

pytestmark = pytest.mark.django_db


def subscribe(person: Person, name: str = "browser") -> PushSubscription:
    return PushSubscription.objects.create(
        session=person.user.sessions.get(), endpoint=f"https://push.example.com/{name}"
    )


def test_who_has_logged_out_is_not_subscribed(alice: Person, bob: Person, carol: Person) -> None:
    subscribe(alice, "of alice")
    subscribe(bob, "of bob")
    everybody = {one.user.pk for one in (alice, bob, carol)}
    assert subscribed_among(everybody) == {alice.user.pk, bob.user.pk}
    bob.post("/auth/logout")
    assert subscribed_among(everybody) == {alice.user.pk}


def test_a_push_has_a_job_for_each_browser(alice: Person) -> None:
    browser = subscribe(alice)
    [told] = tell([alice])
    delivery = Delivery.objects.get(notification=told, channel="push")
    for _ in range(2):
        pushes_enqueue(delivery)
    job = Job.objects.get(task__endswith=".push_to")
    assert job.arguments["args"] == [delivery.pk, str(browser.pk)]
