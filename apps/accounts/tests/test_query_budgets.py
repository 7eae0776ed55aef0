"""Every operation of accounts keeps to its recorded number of database queries."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from apps.accounts.relations import user_block, user_follow
from apps.accounts.tests.people import PASSWORD, Person, person
from testing.client import ContractClient
from testing.queries import within_budget

pytestmark = pytest.mark.django_db

BUDGETS = Path(__file__).with_name("query_budgets.json")


@dataclass
class Scene:
    """Some users, one of whom calls."""

    alice: Person
    bob: Person
    carol: Person
    dora: Person
    anonymous: ContractClient
    session_id: UUID


@pytest.fixture
def scene(alice: Person, bob: Person, carol: Person, anonymous: ContractClient) -> Scene:
    dora, emil = person("Dora"), person("Emil")
    for followed in (carol, emil):
        user_follow(alice.user, user_id=followed.user.pk)
    user_follow(emil.user, user_id=carol.user.pk)
    user_block(alice.user, user_id=dora.user.pk)
    return Scene(alice, bob, carol, dora, anonymous, alice.user.sessions.get().pk)


CALLS: dict[str, Callable[[Scene], Any]] = {
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
    "auth_profile_update": lambda s: s.alice.put("/auth/profile", {"name": "Alice B."}),
    "auth_profile_partial_update": lambda s: s.alice.patch("/auth/profile", {"bio": "By the sea."}),
    "auth_sessions": lambda s: s.alice.get("/auth/sessions"),
    "auth_session_end": lambda s: s.alice.delete(f"/auth/sessions/{s.session_id}"),
    "auth_ws_ticket": lambda s: s.alice.post("/auth/ws-ticket"),
    "users_list": lambda s: s.anonymous.get("/api/v1/users"),
    "users_retrieve": lambda s: s.anonymous.get(f"/api/v1/users/{s.bob.id}"),
    "users_follow": lambda s: s.alice.post(f"/users/{s.bob.id}/follow"),
    "users_unfollow": lambda s: s.alice.delete(f"/users/{s.carol.id}/follow"),
    "users_block": lambda s: s.alice.post(f"/users/{s.bob.id}/block"),
    "users_unblock": lambda s: s.alice.delete(f"/users/{s.dora.id}/block"),
    "users_followers": lambda s: s.bob.get(f"/users/{s.carol.id}/followers"),
    "users_following": lambda s: s.bob.get(f"/users/{s.alice.id}/following"),
    "users_blocked": lambda s: s.alice.get("/users/blocked"),
}


@pytest.mark.parametrize("operation", CALLS)
def test_an_operation_sends_as_many_queries_as_are_recorded(scene: Scene, operation: str) -> None:
    with within_budget(BUDGETS, operation):
        response = CALLS[operation](scene)
    assert response.status_code in {200, 201}, response.content
