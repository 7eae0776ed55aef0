"""The example of the event log in openapi.yaml is what the server answers."""

from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone

import apps.realtime
from apps.accounts.events import SecurityAlert
from apps.accounts.tests.people import Person
from apps.realtime.event_log import publish
from apps.realtime.streams import USER
from testing.examples import examples_of

pytestmark = pytest.mark.django_db

EXAMPLES = Path(apps.realtime.__file__).with_name("examples.json")


def test_bob_sees_what_the_example_of_the_event_log_shows(bob: Person) -> None:
    # An event without ids, since the databases differ in the order of the fields.
    with transaction.atomic():
        publish(SecurityAlert(to=[bob.user.pk], reason="failed_logins", at=timezone.now()))
    with examples_of(EXAMPLES) as example:
        query = {"stream": USER.name(bob.user.pk), "after": 0, "wait": 25}
        example(bob.get("/events", query))
