"""The claims of tokens, and which tokens the server refuses."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest

from apps.accounts.models import Session
from apps.accounts.tests.forged import FORGERIES, Forgery, claims_of, sign
from apps.accounts.tests.people import Person
from testing.client import ContractClient

forgeries = pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)


def profile(client: ContractClient, authorization: str) -> Any:
    return client.get("/api/v1/auth/profile", headers={"Authorization": authorization})


def refresh(client: ContractClient, token: str) -> Any:
    return client.post("/api/v1/auth/refresh", {"refreshToken": token})


@pytest.mark.parametrize(("kind", "seconds"), [("access", 15 * 60), ("refresh", 168 * 3600)])
def test_token_has_exactly_the_expected_claims(alice: Person, kind: str, seconds: int) -> None:
    token = alice.access if kind == "access" else alice.refresh
    claims = claims_of(token)
    assert set(claims) == {"userId", "role", "sid", "iat", "exp", "jti", "typ", "iss"}
    assert claims["userId"] == alice.id
    assert claims["role"] == "user"
    assert UUID(claims["sid"]) == Session.objects.get().pk
    assert claims["typ"] == kind
    assert claims["iss"] == "parley"
    assert claims["exp"] - claims["iat"] == seconds
    assert jwt.get_unverified_header(token)["alg"] == "HS256"


def test_unchanged_token_signed_again_is_accepted(alice: Person, anonymous: ContractClient) -> None:
    """Without this test the refusals below would prove nothing."""
    assert profile(anonymous, f"Bearer {sign(claims_of(alice.access))}").status_code == 200
    assert refresh(anonymous, sign(claims_of(alice.refresh))).status_code == 200


def test_token_of_a_machine_whose_clock_is_ahead_is_accepted(
    alice: Person, anonymous: ContractClient
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=5)
    token = sign(claims_of(alice.access) | {"iat": soon})
    assert profile(anonymous, f"Bearer {token}").status_code == 200


@forgeries
def test_a_bad_access_token_is_refused(
    alice: Person, anonymous: ContractClient, forge: Forgery
) -> None:
    response = profile(anonymous, f"Bearer {forge(claims_of(alice.access))}")
    assert response.status_code == 401
    assert response.json()["code"] == "UNAUTHORIZED"
    assert response["WWW-Authenticate"] == "Bearer"


@forgeries
def test_a_bad_refresh_token_is_refused_and_ends_no_session(
    alice: Person, anonymous: ContractClient, forge: Forgery
) -> None:
    response = refresh(anonymous, forge(claims_of(alice.refresh)))
    assert response.status_code == 401
    assert response.json()["code"] == "UNAUTHORIZED"
    assert Session.objects.filter(
        refresh_jti=claims_of(alice.refresh)["jti"], ended_at=None
    ).exists()


def test_a_refresh_token_is_not_an_access_token(alice: Person, anonymous: ContractClient) -> None:
    """A refresh token lives longer, and is only for getting access tokens."""
    assert profile(anonymous, f"Bearer {alice.refresh}").status_code == 401


def test_an_access_token_is_not_a_refresh_token(alice: Person, anonymous: ContractClient) -> None:
    """A stolen access token must not extend the session."""
    assert refresh(anonymous, alice.access).status_code == 401
    assert alice.get("/auth/profile").status_code == 200


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "Basic YTpi", "Token {}", "{}", "Bearer {} {}"]
)
def test_malformed_authorization_header_is_refused(
    alice: Person, anonymous: ContractClient, value: str
) -> None:
    assert profile(anonymous, value.replace("{}", alice.access)).status_code == 401


def test_authorization_scheme_is_accepted_in_any_case(
    alice: Person, anonymous: ContractClient
) -> None:
    assert profile(anonymous, f"bearer {alice.access}").status_code == 200


def test_a_bad_token_is_refused_even_where_no_token_is_needed(
    anonymous: ContractClient, db: Any
) -> None:
    """The client should learn that its token is bad, instead of getting an anonymous response."""
    response = anonymous.get("/api/v1/users", headers={"Authorization": "Bearer garbage"})
    assert response.status_code == 401


@pytest.mark.parametrize("value", [None, 5, [], {}, "", "x" * 5000])
def test_malformed_refresh_token_is_an_invalid_field(
    anonymous: ContractClient, db: Any, value: Any
) -> None:
    response = anonymous.post("/api/v1/auth/refresh", {"refreshToken": value})
    assert response.status_code == 422
    assert {e["field"] for e in response.json()["errors"]} == {"refreshToken"}
