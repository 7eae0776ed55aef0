"""The examples of notifications in openapi.yaml are what the server answers."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_django import Settings

import apps.notifications
from apps.accounts.tests.people import Person
from apps.notifications.push_encryption import CURVE
from apps.notifications.tests.push_service import Browser
from apps.notifications.tests.test_notify import tell
from testing.examples import examples_of

pytestmark = pytest.mark.django_db

EXAMPLES = Path(apps.notifications.__file__).with_name("examples.json")


def test_alice_sees_what_the_examples_of_notifications_show(
    alice: Person, bob: Person, settings: Settings
) -> None:
    [told] = tell([alice], actor=bob.user, body="The boat is in.", data={"boat": "Nutshell"})
    settings.VAPID_SECRET = "of the examples"
    subscription = Browser("laptop", ec.derive_private_key(1, CURVE)).subscription
    quiet = {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"}
    with examples_of(EXAMPLES) as example:
        example(alice.get("/notifications"))
        example(alice.get("/notifications/unread"))
        example(alice.post("/notifications/read", {"ids": [str(told.pk)]}))
        example(alice.get(f"/notifications/{told.pk}/deliveries"))
        example(alice.get("/notifications/preferences"))
        example(alice.put("/notifications/preferences", {"digest": "daily", "quietHours": quiet}))
        example(alice.get("/notifications/push-key"))
        example(alice.post("/notifications/push-subscriptions", subscription))
        example(alice.get("/notifications/push-subscriptions"))
        example(alice.delete("/notifications/push-subscriptions"))
