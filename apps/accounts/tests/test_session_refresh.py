"""POST /auth/refresh: a refresh token works once, and a stolen one ends the session."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import Session
from apps.accounts.sessions import REFRESH_GRACE
from apps.accounts.tests.people import Person
from apps.core.tests.together import overlapping, together
from testing.client import ContractClient
from testing.server import ServerProcess


def refresh(client: ContractClient, token: str, **environ: Any) -> Any:
    return client.post("/api/v1/auth/refresh", {"refreshToken": token}, **environ)


def pair_of(response: Any) -> tuple[str, str]:
    data = response.json()["data"]
    return data["accessToken"], data["refreshToken"]


def profile_status(client: ContractClient, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    status: int = client.get("/api/v1/auth/profile", headers=headers).status_code
    return status


def test_a_refresh_token_is_exchanged_for_a_new_pair(
    alice: Person, anonymous: ContractClient
) -> None:
    response = refresh(anonymous, alice.refresh)
    assert response.status_code == 200
    assert response.json()["message"] == "Token refreshed"
    data = response.json()["data"]
    assert data["user"]["id"] == alice.id
    assert data["expiresIn"] == 900
    assert data["refreshToken"] != alice.refresh
    assert profile_status(anonymous, data["accessToken"]) == 200
    assert refresh(anonymous, data["refreshToken"]).status_code == 200
    assert Session.objects.count() == 1


def test_refresh_extends_the_session(alice: Person, anonymous: ContractClient) -> None:
    soon = timezone.now() + timedelta(minutes=1)
    Session.objects.update(expires_at=soon)
    refresh(anonymous, alice.refresh)
    assert Session.objects.get().expires_at > soon + timedelta(days=6)


@pytest.mark.django_db(transaction=True)
def test_eight_concurrent_refreshes_with_one_token_get_the_same_pair(
    alice: Person, anonymous: ContractClient
) -> None:
    """A client may send several requests at once, and only one new pair may be valid afterwards."""
    responses: list[Any] = together(*[lambda: refresh(ContractClient(), alice.refresh)] * 8)
    assert [response.status_code for response in responses] == [200] * 8
    pairs = {pair_of(response) for response in responses}
    assert len(pairs) == 1
    [(access, token)] = pairs
    assert profile_status(anonymous, access) == 200
    assert refresh(anonymous, token).status_code == 200
    assert Session.objects.get().ended_at is None


def test_client_that_lost_the_response_refreshes_again(
    alice: Person, anonymous: ContractClient
) -> None:
    lost = refresh(anonymous, alice.refresh)
    again = refresh(anonymous, alice.refresh)
    assert again.status_code == 200
    assert pair_of(again) == pair_of(lost)
    third = refresh(anonymous, pair_of(again)[1])
    assert third.status_code == 200
    assert pair_of(third) != pair_of(again)


def test_no_token_is_stored(alice: Person, anonymous: ContractClient) -> None:
    tokens = pair_of(refresh(anonymous, alice.refresh))
    stored = str(Session.objects.values().get())
    assert not [token for token in tokens if token in stored]


def assert_session_is_over(anonymous: ContractClient, *pairs: tuple[str, str]) -> None:
    for access, token in pairs:
        assert profile_status(anonymous, access) == 401
        assert refresh(anonymous, token).status_code == 401
    assert Session.objects.get().ended_at is not None


def end_grace_period() -> None:
    Session.objects.update(refreshed_at=Now() - REFRESH_GRACE)


def test_used_token_ends_the_session_and_its_new_tokens_after_the_grace_period(
    alice: Person, anonymous: ContractClient
) -> None:
    """Either the owner or a thief sends the used token, and the server cannot tell which."""
    stolen = pair_of(refresh(anonymous, alice.refresh))
    end_grace_period()
    assert refresh(anonymous, alice.refresh).status_code == 401
    assert_session_is_over(anonymous, stolen, (alice.access, alice.refresh))


def test_token_older_than_the_previous_one_ends_the_session(
    alice: Person, anonymous: ContractClient
) -> None:
    second = pair_of(refresh(anonymous, alice.refresh))
    third = pair_of(refresh(anonymous, second[1]))
    assert refresh(anonymous, alice.refresh).status_code == 401
    assert_session_is_over(anonymous, third, second)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"REMOTE_ADDR": "192.0.2.9"},
        {"HTTP_USER_AGENT": "another program"},
        {"REMOTE_ADDR": "2001:db8:1:3::1"},
    ],
    ids=["another network", "another program", "another network of the provider"],
)
def test_used_token_from_another_device_ends_the_session_at_once(
    alice: Person, anonymous: ContractClient, elsewhere: dict[str, str]
) -> None:
    home = {"REMOTE_ADDR": "2001:db8:1:2::1", "HTTP_USER_AGENT": "phone"}
    won = pair_of(refresh(anonymous, alice.refresh, **home))
    assert refresh(anonymous, alice.refresh, **(home | elsewhere)).status_code == 401
    assert_session_is_over(anonymous, won)


def test_device_with_another_address_in_its_network_gets_the_same_pair(
    alice: Person, anonymous: ContractClient
) -> None:
    won = refresh(anonymous, alice.refresh, REMOTE_ADDR="2001:db8:1:2::1")
    again = refresh(anonymous, alice.refresh, REMOTE_ADDR="2001:db8:1:2:aaaa::7")
    assert again.status_code == 200
    assert pair_of(again) == pair_of(won)


def test_session_stores_the_device_of_the_last_refresh(
    alice: Person, anonymous: ContractClient
) -> None:
    refresh(anonymous, alice.refresh, REMOTE_ADDR="192.0.2.9", HTTP_USER_AGENT="x" * 300)
    session = Session.objects.get()
    assert (session.address, session.user_agent) == ("192.0.2.9", "x" * 255)
    again = refresh(anonymous, alice.refresh, REMOTE_ADDR="192.0.2.9", HTTP_USER_AGENT="x" * 300)
    assert again.status_code == 200


@pytest.fixture
def clock_off_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that sets the clock of this process, not the database's, so many hours ahead."""
    now = timezone.now
    return lambda hours: monkeypatch.setattr(
        timezone, "now", lambda: now() + timedelta(hours=hours)
    )


@pytest.mark.parametrize(("winner", "later"), [(-1, 0), (1, 0), (0, -1), (0, 1)])
def test_clock_of_a_process_does_not_decide_the_grace_period(
    alice: Person,
    anonymous: ContractClient,
    clock_off_by: Callable[[int], None],
    winner: int,
    later: int,
) -> None:
    """The clocks of two processes are an hour apart, and both use the one clock of the database."""
    clock_off_by(winner)
    won = refresh(anonymous, alice.refresh)
    clock_off_by(later)
    again = refresh(anonymous, alice.refresh)
    assert again.status_code == 200
    assert pair_of(again) == pair_of(won)
    end_grace_period()
    assert refresh(anonymous, alice.refresh).status_code == 401
    assert Session.objects.get().ended_at is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="Writers wait for each other on SQLite.")
def test_second_of_two_concurrent_refreshes_waits_for_the_first(alice: Person) -> None:
    def refresh_once() -> Any:
        return refresh(ContractClient(), alice.refresh)

    first, second = overlapping(refresh_once, refresh_once)
    assert (first.status_code, second.status_code) == (200, 200)
    assert pair_of(first) == pair_of(second)
    assert refresh(ContractClient(), pair_of(first)[1]).status_code == 200


def test_ended_session_has_no_grace_period(alice: Person, anonymous: ContractClient) -> None:
    pair_of(refresh(anonymous, alice.refresh))
    Session.objects.update(ended_at=timezone.now())
    assert refresh(anonymous, alice.refresh).status_code == 401


@pytest.mark.integration
def test_two_server_processes_give_the_same_pair(
    alice: Person, start_server: Callable[..., ServerProcess]
) -> None:
    one, other = start_server(), start_server()

    def ask(server: ServerProcess) -> Any:
        body = {"refreshToken": alice.refresh}
        return server.call("POST", "/api/v1/auth/refresh", json=body).json()

    pairs = [ask(server)["data"] for server in (one, other, one)]
    tokens = {(pair["accessToken"], pair["refreshToken"]) for pair in pairs}
    assert len(tokens) == 1
    assert Session.objects.get().ended_at is None
    end_grace_period()
    assert ask(other)["code"] == "UNAUTHORIZED"
    assert Session.objects.get().ended_at is not None


def test_used_token_ends_no_other_session(alice: Person, anonymous: ContractClient) -> None:
    tablet = alice.another_device()
    refresh(anonymous, alice.refresh)
    end_grace_period()
    refresh(anonymous, alice.refresh)
    assert alice.get("/auth/profile").status_code == 401
    assert tablet.get("/auth/profile").status_code == 200


def test_expired_session_cannot_be_refreshed(alice: Person, anonymous: ContractClient) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Session.objects.update(created_at=past - timedelta(days=7), expires_at=past)
    assert refresh(anonymous, alice.refresh).status_code == 401
    assert Session.objects.get().expires_at == past


def test_the_token_of_a_deleted_user_is_refused(alice: Person, anonymous: ContractClient) -> None:
    alice.user.delete()
    assert refresh(anonymous, alice.refresh).status_code == 401
