"""Every operation of the API keeps to its recorded number of database queries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from rest_framework.routers import SimpleRouter

from apps.accounts.tests.people import PASSWORD, Person, person
from apps.chat.models import Message
from apps.chat.receipts import messages_mark_read
from apps.chat.services import Draft, message_delete, messages_send
from apps.posts.models import Post
from apps.posts.services import post_create, post_update
from config.api import router
from testing import queries
from testing.client import ContractClient
from testing.queries import budgets, statements, within_budget

pytestmark = pytest.mark.django_db

TITLES = ("Harbour lights", "Night ferry", "Low tide", "North wind")
CONTENT = "The lighthouse keeper counts the boats as they come home. " * 5
STATUSES = (Post.Status.PUBLISHED, Post.Status.DRAFT)


@dataclass
class Scene:
    """A server that has been in use for a while."""

    alice: Person
    bob: Person
    anonymous: ContractClient
    session_id: UUID
    published: Post
    draft: Post
    messages: Sequence[Message]


@pytest.fixture
def scene(alice: Person, bob: Person, carol: Person, anonymous: ContractClient) -> Scene:
    """Three authors with posts, conversations of everybody with everybody, some of it read."""
    people = [alice, bob, carol, person("Dora"), person("Emil")]
    posts = [
        post_create(one.user, title=title, content=CONTENT, status=status, tags=["sea"])
        for one in people
        for title in TITLES
        for status in STATUSES
    ]
    published, draft = posts[:2]
    published = post_update(alice.user, post_id=published.pk, title="Harbour lights at dawn")
    sent = messages_send(
        [
            Draft(one.user.pk, other.user.pk, f"Ahoy {number}")
            for number in range(4)
            for one in people
            for other in people
            if one is not other
        ]
    )
    messages = [one.message for one in sent if not isinstance(one, Exception)]
    to_alice = [message for message in messages if message.receiver_id == alice.user.pk]
    messages_mark_read(alice.user.pk, message_ids=[one.pk for one in to_alice[:4]])
    message_delete(to_alice[-1].sender, message_id=to_alice[-1].pk)
    session_id = alice.user.sessions.get().pk
    return Scene(alice, bob, anonymous, session_id, published, draft, to_alice[4:-1])


Call = Callable[[Scene], Any]

ACCOUNTS: dict[str, Call] = {
    "auth_register": lambda s: s.anonymous.post(
        "/api/v1/auth/register",
        {"name": "Frida", "email": "frida@example.com", "password": PASSWORD},
    ),
    "auth_login": lambda s: s.anonymous.post(
        "/api/v1/auth/login", {"email": s.alice.user.email, "password": PASSWORD}
    ),
    "auth_refresh": lambda s: s.anonymous.post(
        "/api/v1/auth/refresh", {"refreshToken": s.alice.refresh}
    ),
    "auth_logout": lambda s: s.alice.post("/auth/logout"),
    "auth_password_change": lambda s: s.alice.post(
        "/auth/password/change", {"currentPassword": PASSWORD, "newPassword": "wrong donkey 8"}
    ),
    "auth_profile": lambda s: s.alice.get("/auth/profile"),
    "auth_profile_replace": lambda s: s.alice.put("/auth/profile", {"name": "Alice B."}),
    "auth_profile_update": lambda s: s.alice.patch("/auth/profile", {"bio": "By the sea."}),
    "auth_sessions": lambda s: s.alice.get("/auth/sessions"),
    "auth_session_end": lambda s: s.alice.delete(f"/auth/sessions/{s.session_id}"),
    "auth_ws_ticket": lambda s: s.alice.post("/auth/ws-ticket"),
    "users_list": lambda s: s.anonymous.get("/api/v1/users"),
    "users_retrieve": lambda s: s.anonymous.get(f"/api/v1/users/{s.bob.id}"),
}
POSTS: dict[str, Call] = {
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
MESSAGES: dict[str, Call] = {
    "messages_create": lambda s: s.alice.post(
        "/messages", {"receiverId": s.bob.id, "content": "Ahoy", "clientId": "phone-1"}
    ),
    "messages_list": lambda s: s.alice.get("/messages", {"userId": s.bob.id}),
    "messages_conversations": lambda s: s.alice.get("/messages/conversations"),
    "messages_unread": lambda s: s.alice.get("/messages/unread"),
    "messages_read": lambda s: s.alice.post(
        "/messages/read", {"messageIds": [str(one.pk) for one in s.messages]}
    ),
    "messages_destroy": lambda s: s.bob.delete(
        f"/messages/{next(one.pk for one in s.messages if one.sender_id == s.bob.user.pk)}"
    ),
}
CALLS = {**ACCOUNTS, **POSTS, **MESSAGES}


def operations(routes: SimpleRouter) -> set[str]:
    """Return the id of every operation of the router, as openapi.yaml names it."""
    views: list[Any] = [url.callback for url in routes.urls]
    return {
        f"{view.initkwargs['basename']}_{action}"
        for view in views
        for action in view.actions.values()
    }


@pytest.mark.parametrize("operation", CALLS)
def test_an_operation_sends_as_many_queries_as_are_recorded(scene: Scene, operation: str) -> None:
    with within_budget(operation):
        response = CALLS[operation](scene)
    assert response.status_code in {200, 201}, response.content


def test_every_operation_has_its_budget() -> None:
    assert operations(router) == set(CALLS) == set(budgets())


def test_one_query_more_or_less_is_noticed(
    alice: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(queries.RECORD, raising=False)
    monkeypatch.setattr(queries, "BUDGETS", tmp_path / "budgets.json")
    queries.BUDGETS.write_text('{"messages_unread": 2}')

    def ask(times: int) -> None:
        with within_budget("messages_unread"):
            for _ in range(times):
                alice.get("/messages/unread")

    ask(1)
    for times in (0, 2):
        with pytest.raises(AssertionError, match="messages_unread is to send 2 statements"):
            ask(times)


def test_the_marks_of_transactions_are_not_counted(alice: Person) -> None:
    with statements() as sent:
        alice.patch("/auth/profile", {"name": "Alice B."})
    assert sent
    assert not [one for one in sent if one.startswith(("SAVEPOINT", "RELEASE"))]
