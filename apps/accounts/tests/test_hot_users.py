"""Users that are shown from kept bytes."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.accounts.hot_reads import USER_BY_ID, USER_LIST
from apps.accounts.models import User
from apps.accounts.tests.people import Person
from testing.client import ContractClient
from testing.server import ServerProcess


@pytest.mark.parametrize("query", ["", "limit=1", "page=2&limit=1", "cursor=", "search=", "page=3"])
def test_the_bytes_of_a_list_are_those_of_the_view(
    alice: Person, bob: Person, anonymous: ContractClient, query: str
) -> None:
    asked: Any = USER_LIST.key({}, query)
    shown = USER_LIST.load([asked])[asked]
    body = b'"data":' + shown.data + b',"pagination":' + shown.pagination + b',"meta":'
    assert body in anonymous.get(f"/api/v1/users?{query}").content


@pytest.mark.parametrize("query", ["search=Alice", "limit=0", "cursor=%00"])
def test_the_view_answers_a_search_and_what_is_wrong(query: str) -> None:
    """A search has a limit of its own."""
    assert USER_LIST.key({}, query) is None


def test_an_active_user_is_shown_as_by_the_view(
    alice: Person, bob: Person, anonymous: ContractClient
) -> None:
    User.objects.filter(pk=bob.user.pk).update(status=User.Status.BANNED)
    asked: Any = [USER_BY_ID.key({"pk": one.id}, "") for one in (alice, bob)]
    [(pk, shown)] = USER_BY_ID.load(asked).items()
    assert pk == alice.user.pk
    assert b'"data":' + shown.data + b"," in anonymous.get(f"/api/v1/users/{pk}").content


@pytest.mark.integration
def test_readers_see_each_change_at_once(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    """Everything is kept for an hour, so that only tags can bring the change."""
    server = start_server(CACHE_SECONDS="3600")

    def read(path: str) -> Any:
        # The second one finds what the first one has left.
        first, second = (server.call("GET", f"/api/v1{path}") for _ in range(2))
        assert first.json()["data"] == second.json()["data"]
        assert first.headers.get("etag") == second.headers.get("etag")
        return second.json()["data"]

    def names() -> list[str]:
        return [user["name"] for user in read("/users")]

    assert names() == ["Alice"]
    bob = {"name": "Bob", "email": "bob@example.com", "password": "Lighthouse-7-keeper"}
    assert server.call("POST", "/api/v1/auth/register", json=bob).status_code == 201
    assert names() == ["Bob", "Alice"]
    assert read(f"/users/{alice.id}")["name"] == "Alice"
    changed = server.call(
        "PATCH",
        "/api/v1/auth/profile",
        json={"name": "Alice B."},
        headers={"Authorization": f"Bearer {alice.access}"},
    )
    assert changed.status_code == 200
    assert read(f"/users/{alice.id}")["name"] == "Alice B."
    assert names() == ["Bob", "Alice B."]
