"""No cache and no browser stores a response with tokens (RFC 6749, 5.1)."""

from typing import Any

import pytest

from apps.accounts.tests.people import PASSWORD, Person
from testing.client import ContractClient

KEY = {"Idempotency-Key": "a-key"}
NEW = {"currentPassword": PASSWORD, "newPassword": "battery staple 7"}


def post(path: str, **body: Any) -> Any:
    return ContractClient().post(f"/api/v1{path}", body)


SECRET: dict[str, Any] = {
    "registering": lambda alice: post(
        "/auth/register", name="Dora", email="dora@example.com", password=PASSWORD
    ),
    "logging in": lambda alice: post("/auth/login", email="alice@example.com", password=PASSWORD),
    "a wrong login": lambda alice: post(
        "/auth/login", email="alice@example.com", password="not hers"
    ),
    "refreshing": lambda alice: post("/auth/refresh", refreshToken=alice.refresh),
    "a ticket": lambda alice: alice.post("/auth/ws-ticket"),
    "a ticket again": lambda alice: [alice.post("/auth/ws-ticket", **KEY) for _ in "12"][1],
    "a change of password": lambda alice: alice.post("/auth/password/change", NEW),
}


@pytest.mark.parametrize("call", SECRET.values(), ids=SECRET)
def test_response_with_a_token_is_not_cached(alice: Person, call: Any) -> None:
    assert call(alice)["Cache-Control"] == "no-store"


def test_other_responses_are_revalidated(alice: Person) -> None:
    assert alice.get("/auth/profile")["Cache-Control"] == "private, no-cache"
