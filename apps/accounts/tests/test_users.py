"""GET /users and /users/{id}: users as everybody sees them."""

from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.tests.people import Person, person, set_status
from testing.client import ContractClient

PUBLIC = {"id", "name", "role", "bio", "avatarUrl", "createdAt"}

pytestmark = pytest.mark.django_db


def names(client: ContractClient, **query: Any) -> list[str]:
    response = client.get("/api/v1/users", query)
    assert response.status_code == 200
    return [user["name"] for user in response.json()["data"]]


def test_list_shows_all_users_the_newest_first(
    alice: Person, bob: Person, carol: Person, anonymous: ContractClient
) -> None:
    assert names(anonymous) == ["Carol", "Bob", "Alice"]


def test_email_address_is_never_shown_to_others(
    alice: Person, bob: Person, anonymous: ContractClient
) -> None:
    for client in (anonymous, bob.client):
        for path in ("/api/v1/users", f"/api/v1/users/{alice.id}"):
            response = client.get(path)
            assert "alice@" not in response.content.decode()
            data = response.json()["data"]
            assert all(set(user) == PUBLIC for user in (data if isinstance(data, list) else [data]))


def test_search_does_not_match_email_addresses(alice: Person, anonymous: ContractClient) -> None:
    assert names(anonymous, search="alice@example") == []


@pytest.mark.parametrize("search", ["lic", "ALI", "alice", ""])
def test_search_matches_a_part_of_the_name_in_any_case(
    alice: Person, bob: Person, anonymous: ContractClient, search: str
) -> None:
    assert "Alice" in names(anonymous, search=search)
    assert names(anonymous, search=search) == (["Alice"] if search else ["Bob", "Alice"])


@pytest.mark.parametrize(
    ("search", "found"), [("%", ["100% Dora"]), ("_", ["E_mil"]), ("\\", []), ("a%e", [])]
)
def test_search_treats_wildcards_as_plain_characters(
    alice: Person, anonymous: ContractClient, search: str, found: list[str]
) -> None:
    """`%` and `_` are wildcards of SQL, and the client does not know that."""
    User.objects.create(name="100% Dora", email="dora@example.com")
    User.objects.create(name="E_mil", email="emil@example.com")
    assert names(anonymous, search=search) == found


@pytest.mark.parametrize("search", ["x" * 101, "a\0b"])
def test_search_that_is_too_long_or_has_a_null_character_is_refused(
    anonymous: ContractClient, search: str
) -> None:
    """A search reads every name, so its cost is limited."""
    response = anonymous.get("/api/v1/users", {"search": search})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "search"


@pytest.mark.parametrize("status", ["suspended", "banned", "pending"])
def test_user_who_is_not_active_is_hidden(
    alice: Person, bob: Person, moderator: Person, anonymous: ContractClient, status: str
) -> None:
    set_status(alice.user, status)
    for client in (anonymous, bob.client, moderator.client):
        assert "Alice" not in names(client)
        assert client.get(f"/api/v1/users/{alice.id}").status_code == 404


def test_unchanged_user_is_not_sent_again(alice: Person, bob: Person) -> None:
    response = bob.get(f"/users/{alice.id}")
    assert response.status_code == 200
    assert response.json()["message"] == "User retrieved successfully"
    assert response.json()["data"]["name"] == "Alice"
    again = bob.get(f"/users/{alice.id}", **{"If-None-Match": response["ETag"]})
    assert again.status_code == 304


def test_unknown_user_is_not_found(bob: Person) -> None:
    response = bob.get(f"/users/{uuid4()}")
    assert response.status_code == 404
    assert response.json()["message"] == "User not found"


def test_users_are_paged_by_cursor(anonymous: ContractClient) -> None:
    for name in ("Ada", "Ben", "Cem", "Dan", "Eve"):
        person(name)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        body = anonymous.get("/api/v1/users", {"limit": "2", "cursor": cursor}).json()
        seen += [user["name"] for user in body["data"]]
        cursor = body["pagination"]["nextCursor"]
    assert seen == ["Eve", "Dan", "Cem", "Ben", "Ada"]


def test_search_has_its_own_rate_limit(
    anonymous: ContractClient, alice: Person, settings: Settings
) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(search_users=2)

    def status(**query: str) -> int:
        response = anonymous.get("/api/v1/users", query, REMOTE_ADDR="203.0.113.77")
        code: int = response.status_code
        return code

    assert [status(search="a") for _ in range(3)] == [200, 200, 429]
    assert status() == 200
