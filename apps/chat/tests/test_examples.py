"""The examples of the chat in openapi.yaml are what the server answers."""

from pathlib import Path

import pytest

import apps.chat
from apps.accounts.tests.people import Person
from testing.examples import examples_of

pytestmark = pytest.mark.django_db

EXAMPLES = Path(apps.chat.__file__).with_name("examples.json")


def test_alice_and_bob_see_what_the_examples_of_the_chat_show(alice: Person, bob: Person) -> None:
    with examples_of(EXAMPLES) as example:
        hello = {"receiverId": bob.id, "content": "Hello, Bob!", "clientId": "phone-1"}
        message = example(alice.post("/messages", hello))["data"]
        example(alice.post("/messages", hello))
        example(bob.get("/messages/unread"))
        example(bob.get("/messages/conversations"))
        up_to = {"conversationId": message["conversationId"], "upTo": message["seq"]}
        example(bob.post("/messages/read", up_to))
        example(bob.get("/messages", {"userId": alice.id, "limit": 50}))
        example(alice.delete(f"/messages/{message['id']}"))
