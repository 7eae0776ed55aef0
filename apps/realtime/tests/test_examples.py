"""The example of the event log in openapi.yaml is what the server answers."""

from pathlib import Path

import pytest

import apps.realtime
from apps.accounts.tests.people import Person
from apps.realtime.streams import USER
from testing.examples import examples_of

pytestmark = pytest.mark.django_db

EXAMPLES = Path(apps.realtime.__file__).with_name("examples.json")


def test_bob_sees_what_the_example_of_the_event_log_shows(alice: Person, bob: Person) -> None:
    alice.post("/messages", {"receiverId": bob.id, "content": "Hello, Bob!", "clientId": "phone-1"})
    with examples_of(EXAMPLES) as example:
        query = {"stream": USER.name(bob.user.pk), "after": 0, "wait": 25}
        example(bob.get("/events", query))
