"""POST /auth/login."""

from typing import Any

import pytest

from apps.accounts.models import Session, User
from apps.accounts.tests.people import PASSWORD, Person, elsewhere, set_status
from testing.client import ContractClient

REFUSED = {
    "an unknown address": ("nobody@example.com", PASSWORD),
    "a wrong password": ("alice@example.com", "not the password"),
    "a disabled user": ("bob@example.com", PASSWORD),
}
refused = pytest.mark.parametrize(("email", "password"), REFUSED.values(), ids=REFUSED)


@pytest.fixture
def disabled(bob: Person) -> Person:
    set_status(bob.user, User.Status.BANNED)
    return bob


def log_in(client: ContractClient, email: str, password: str, **headers: str) -> Any:
    body = {"email": email, "password": password}
    return client.post("/api/v1/auth/login", body, headers=headers)


def test_login_returns_tokens_that_work(alice: Person, anonymous: ContractClient) -> None:
    response = log_in(anonymous, "alice@example.com", PASSWORD)
    assert response.status_code == 200
    assert response.json()["message"] == "Login successful"
    data = response.json()["data"]
    assert data["user"]["id"] == alice.id
    bearer = {"Authorization": f"Bearer {data['accessToken']}"}
    assert anonymous.get("/api/v1/auth/profile", headers=bearer).status_code == 200


def test_alice_logs_in_with_her_address_in_any_case(
    alice: Person, anonymous: ContractClient
) -> None:
    assert log_in(anonymous, "Alice@EXAMPLE.com", PASSWORD).status_code == 200


def test_login_adds_a_session_with_its_device(alice: Person, anonymous: ContractClient) -> None:
    log_in(anonymous, "alice@example.com", PASSWORD, **{"User-Agent": "x" * 300})
    first, second = Session.objects.order_by("pk")
    assert str(second.user_id) == alice.id
    assert second.address == "127.0.0.1"
    assert second.user_agent == "x" * 255
    assert first.ended_at is None


@refused
def test_refused_login_gets_the_same_response_for_every_reason(
    alice: Person, disabled: Person, anonymous: ContractClient, email: str, password: str
) -> None:
    sessions = set(Session.objects.values_list("pk", "ended_at"))
    response = log_in(anonymous, email, password)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    body = response.json()
    body.pop("meta")
    assert body == {"success": False, "message": "Invalid credentials", "code": "UNAUTHORIZED"}
    assert set(Session.objects.values_list("pk", "ended_at")) == sessions


@refused
def test_refused_login_hashes_one_password_for_every_reason(
    alice: Person,
    disabled: Person,
    anonymous: ContractClient,
    hashed: list[str],
    email: str,
    password: str,
) -> None:
    log_in(anonymous, email, password)
    assert hashed == [password]


def suspend(person: Person) -> None:
    set_status(person.user, User.Status.SUSPENDED)


def test_a_suspended_user_learns_it_with_the_right_password_only(
    alice: Person, bob: Person, anonymous: ContractClient, hashed: list[str]
) -> None:
    suspend(bob)
    response = log_in(anonymous, "bob@example.com", PASSWORD)
    assert response.status_code == 401
    assert response.json()["code"] == "ACCOUNT_SUSPENDED"
    assert "moderator has to reinstate it" in response.json()["message"]
    guess = log_in(anonymous, "bob@example.com", "not the password")
    of_alice = log_in(anonymous, "alice@example.com", "not the password")
    assert {**guess.json(), "meta": None} == {**of_alice.json(), "meta": None}
    assert guess.json()["code"] == "UNAUTHORIZED"
    # Each hashes one password, so that each takes the same time.
    assert hashed == [PASSWORD, "not the password", "not the password"]
    assert not Session.objects.filter(user=bob.user, ended_at=None).exists()


def test_a_login_of_a_suspended_user_counts_as_every_other(
    bob: Person, anonymous: ContractClient, settings: Any
) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(login=2)
    suspend(bob)
    client = ContractClient(REMOTE_ADDR=elsewhere())
    codes = [log_in(client, "bob@example.com", PASSWORD).json()["code"] for _ in range(3)]
    assert codes == ["ACCOUNT_SUSPENDED", "ACCOUNT_SUSPENDED", "RATE_LIMIT_EXCEEDED"]


def test_response_names_the_missing_fields(anonymous: ContractClient, db: Any) -> None:
    response = anonymous.post("/api/v1/auth/login", {})
    assert response.status_code == 422
    assert [e["field"] for e in response.json()["errors"]] == ["email", "password"]
