"""Every operation of posts keeps to its recorded number of database queries."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.tests.people import Person, person
from apps.posts.models import Post
from apps.posts.services import post_create, post_update
from testing.queries import within_budget

pytestmark = pytest.mark.django_db

BUDGETS = Path(__file__).with_name("query_budgets.json")
TITLES = ("Harbour lights", "Night ferry", "Low tide", "North wind")
CONTENT = "The lighthouse keeper counts the boats as they come home. " * 5
STATUSES = (Post.Status.PUBLISHED, Post.Status.DRAFT)


@dataclass
class Scene:
    """Several authors with posts, one of whom calls."""

    alice: Person
    published: Post
    draft: Post


@pytest.fixture
def scene(alice: Person, bob: Person, carol: Person) -> Scene:
    posts = [
        post_create(one.user, title=title, content=CONTENT, status=status, tags=["sea"])
        for one in (alice, bob, carol, person("Dora"), person("Emil"))
        for title in TITLES
        for status in STATUSES
    ]
    published, draft = posts[:2]
    published = post_update(alice.user, post_id=published.pk, title="Harbour lights at dawn")
    return Scene(alice, published, draft)


CALLS: dict[str, Callable[[Scene], Any]] = {
    "posts_list": lambda s: s.alice.get("/posts"),
    "posts_create": lambda s: s.alice.post(
        "/posts", {"title": "Harbour lights", "content": CONTENT, "status": "published"}
    ),
    "posts_retrieve": lambda s: s.alice.get(f"/posts/{s.published.pk}"),
    "posts_by_slug": lambda s: s.alice.get("/posts/slug/harbour-lights"),
    "posts_update": lambda s: s.alice.put(
        f"/posts/{s.published.pk}", {"title": "Low tide at noon", "content": CONTENT, "version": 2}
    ),
    "posts_partial_update": lambda s: s.alice.patch(f"/posts/{s.published.pk}", {"tags": ["sky"]}),
    "posts_publish": lambda s: s.alice.post(f"/posts/{s.draft.pk}/publish"),
    "posts_destroy": lambda s: s.alice.delete(f"/posts/{s.published.pk}"),
}


@pytest.mark.parametrize("operation", CALLS)
def test_an_operation_sends_as_many_queries_as_are_recorded(scene: Scene, operation: str) -> None:
    with within_budget(BUDGETS, operation):
        response = CALLS[operation](scene)
    assert response.status_code in {200, 201}, response.content
