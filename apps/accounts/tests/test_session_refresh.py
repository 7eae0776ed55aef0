"""POST /auth/refresh: one winner, and a thief is shut out."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.errors import InvalidToken
from apps.accounts.models import Session
from apps.accounts.services import Login, session_refresh
from apps.accounts.tests.people import Person
from apps.core.testing.client import ContractClient
from apps.core.tests.together import together


def refresh(client: ContractClient, token: str, **environ: Any) -> Any:
    return client.post("/api/v1/auth/refresh", {"refreshToken": token}, **environ)


def profile_status(client: ContractClient, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    status: int = client.get("/api/v1/auth/profile", headers=headers).status_code
    return status


def test_a_refresh_token_is_exchanged_for_a_new_pair(alice: Person, nobody: ContractClient) -> None:
    response = refresh(nobody, alice.refresh)
    assert response.status_code == 200
    assert response.json()["message"] == "Token refreshed"
    data = response.json()["data"]
    assert data["user"]["id"] == alice.id
    assert data["expiresIn"] == 900
    assert data["refreshToken"] != alice.refresh
    assert profile_status(nobody, data["accessToken"]) == 200
    assert refresh(nobody, data["refreshToken"]).status_code == 200
    assert Session.objects.count() == 1


def test_refreshing_prolongs_the_session(alice: Person, nobody: ContractClient) -> None:
    soon = timezone.now() + timedelta(minutes=1)
    Session.objects.update(expires_at=soon)
    refresh(nobody, alice.refresh)
    assert Session.objects.get().expires_at > soon + timedelta(days=6)


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_bring_the_same_token_at_once_one_wins(alice: Person) -> None:
    """Original defect 33: rotation did not revoke the old token."""
    arrived = timezone.now()
    answers = together(*[lambda: session_refresh(refresh_token=alice.refresh, arrived=arrived)] * 8)
    winners = [answer for answer in answers if isinstance(answer, Login)]
    assert len(winners) == 1
    assert [type(answer) for answer in answers].count(InvalidToken) == 7
    session = Session.objects.get()
    assert session.ended_at is None
    assert session.refresh_jti == winners[0].tokens.refresh_jti


@pytest.mark.django_db(transaction=True)
def test_over_http_eight_at_once_never_win_twice(alice: Person) -> None:
    statuses = together(*[lambda: refresh(ContractClient(), alice.refresh).status_code] * 8)
    assert sorted(statuses, key=str) == [200] + [401] * 7


def test_a_spent_token_ends_the_session_and_the_new_tokens_with_it(
    alice: Person, nobody: ContractClient
) -> None:
    """Original defect 33."""
    stolen = refresh(nobody, alice.refresh).json()["data"]
    assert refresh(nobody, alice.refresh).status_code == 401
    assert profile_status(nobody, stolen["accessToken"]) == 401
    assert profile_status(nobody, alice.access) == 401
    assert refresh(nobody, stolen["refreshToken"]).status_code == 401
    assert Session.objects.get().ended_at is not None


def test_a_spent_token_ends_no_other_session(alice: Person, nobody: ContractClient) -> None:
    tablet = alice.another_device()
    refresh(nobody, alice.refresh)
    refresh(nobody, alice.refresh)
    assert tablet.get("/auth/profile").status_code == 200


def test_who_was_on_the_way_when_the_winner_was_answered_loses_without_harm(
    alice: Person, nobody: ContractClient
) -> None:
    before = timezone.now().timestamp()
    won = refresh(nobody, alice.refresh).json()["data"]
    late = refresh(nobody, alice.refresh, **{"parley.arrived": before})
    assert late.status_code == 401
    assert profile_status(nobody, won["accessToken"]) == 200
    assert refresh(nobody, won["refreshToken"]).status_code == 200


def test_an_expired_session_is_not_prolonged(alice: Person, nobody: ContractClient) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Session.objects.update(created_at=past - timedelta(days=7), expires_at=past)
    assert refresh(nobody, alice.refresh).status_code == 401
    assert Session.objects.get().expires_at == past


def test_the_token_of_a_deleted_user_is_refused(alice: Person, nobody: ContractClient) -> None:
    alice.user.delete()
    assert refresh(nobody, alice.refresh).status_code == 401
