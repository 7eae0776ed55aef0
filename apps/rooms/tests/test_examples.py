"""The examples of rooms in openapi.yaml are what the server answers."""

from pathlib import Path

import pytest

import apps.rooms
from apps.accounts.tests.people import Person
from testing.examples import examples_of

pytestmark = pytest.mark.django_db

EXAMPLES = Path(apps.rooms.__file__).with_name("examples.json")


def test_alice_sees_what_the_examples_of_rooms_show(alice: Person) -> None:
    with examples_of(EXAMPLES) as example:
        example(alice.post("/rooms/room.harbour/presence"))
        example(alice.get("/rooms/room.harbour/presence"))
        example(alice.delete("/rooms/room.harbour/presence"))
