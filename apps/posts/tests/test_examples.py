"""The examples of posts in openapi.yaml are what the server answers."""

from pathlib import Path

import pytest

import apps.posts
from apps.accounts.tests.people import Person
from testing.client import ContractClient
from testing.examples import examples_of

pytestmark = pytest.mark.django_db

EXAMPLES = Path(apps.posts.__file__).with_name("examples.json")


def test_alice_sees_what_the_examples_of_posts_show(
    alice: Person, anonymous: ContractClient
) -> None:
    with examples_of(EXAMPLES) as example:
        draft = {
            "title": "Harbour lights",
            "content": "The lighthouse keeper counts the boats as they come home.",
            "tags": ["sea", "night"],
        }
        post = example(alice.post("/posts", draft))["data"]
        example(alice.post(f"/posts/{post['id']}/publish"))
        example(alice.patch(f"/posts/{post['id']}", {"tags": ["sea"]}))
        example(
            alice.put(f"/posts/{post['id']}", {"title": "Harbour lights at dawn", "version": 3})
        )
        example(alice.get(f"/posts/{post['id']}"))
        example(alice.get("/posts/slug/harbour-lights"))
        example(anonymous.get("/api/v1/posts", {"limit": "10", "status": "published"}))
        example(alice.delete(f"/posts/{post['id']}"))
