"""The examples of notifications in openapi.yaml are what the server answers."""

from pathlib import Path

import pytest

import apps.notifications
from apps.accounts.tests.people import Person
from apps.notifications.tests.test_notify import tell
from testing.examples import examples_of

pytestmark = pytest.mark.django_db

EXAMPLES = Path(apps.notifications.__file__).with_name("examples.json")


def test_alice_sees_what_the_examples_of_notifications_show(alice: Person, bob: Person) -> None:
    [told] = tell([alice], actor=bob.user, body="The boat is in.", data={"boat": "Nutshell"})
    quiet = {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"}
    with examples_of(EXAMPLES) as example:
        example(alice.get("/notifications"))
        example(alice.get("/notifications/unread"))
        example(alice.post("/notifications/read", {"ids": [str(told.pk)]}))
        example(alice.get(f"/notifications/{told.pk}/deliveries"))
        example(alice.get("/notifications/preferences"))
        example(alice.put("/notifications/preferences", {"digest": "daily", "quietHours": quiet}))
