"""How often a client may try to log in. The limits lock no user out."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Session, User
from apps.accounts.tests.people import PASSWORD, Person, elsewhere, person
from apps.core.tests.together import together
from apps.realtime.models import LoggedEvent
from apps.realtime.streams import USER
from testing.client import ContractClient


def log_in(email: str, password: str = PASSWORD, address: str = "", **headers: str) -> Any:
    body = {"email": email, "password": password}
    client = ContractClient(REMOTE_ADDR=address or elsewhere())
    return client.post("/api/v1/auth/login", body, headers=headers)


def is_delayed(response: Any) -> bool:
    """Return whether the bridge has to send the response about two seconds later."""
    seconds: float = response.wsgi_request.META.get("parley.delay", 0.0)
    assert 0 <= seconds <= 2
    return seconds > 1


def alerts_to(person: Person) -> list[dict[str, Any]]:
    events = LoggedEvent.objects.filter(stream=USER.name(person.user.pk), type="security_alert")
    return [event.data for event in events]


@pytest.fixture
def dora(db: Any) -> Person:
    """A user whose account no other test guesses at, because Redis keeps its counts."""
    return person(f"Dora-{uuid4().hex}")


@pytest.fixture
def limits(settings: Settings) -> Any:
    """A function that sets limits of actions for the test."""

    def to(**per_minute: int) -> None:
        settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(**per_minute)

    return to


def test_client_is_refused_after_too_many_logins_to_one_account_from_one_address(
    dora: Person, limits: Any
) -> None:
    limits(login=2)
    here = elsewhere()
    for _ in range(2):
        assert log_in(dora.user.email, "a guess", here).status_code == 401
    response = log_in(dora.user.email.upper(), address=here)
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert Session.objects.filter(user=dora.user).count() == 1
    other = person(f"Emil-{uuid4().hex}")
    assert log_in(other.user.email, address=here).status_code == 200
    assert log_in(dora.user.email).status_code == 200


def test_client_is_refused_after_too_many_logins_from_one_address(
    dora: Person, limits: Any
) -> None:
    """A client cannot avoid the limit with an X-Forwarded-For header of its own."""
    limits(login_address=2)
    here = elsewhere()
    for number in range(2):
        forged = {"X-Forwarded-For": f"10.0.0.{number}"}
        assert log_in(f"{uuid4()}@example.com", "a guess", here, **forged).status_code == 401
    forged = {"X-Forwarded-For": "10.0.0.9"}
    assert log_in(dora.user.email, PASSWORD, here, **forged).status_code == 429
    assert Session.objects.count() == 1


@pytest.mark.parametrize("limit", ["login", "login_address"])
def test_all_addresses_of_a_network_share_one_limit(dora: Person, limits: Any, limit: str) -> None:
    limits(**{limit: 2})
    network = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}"
    for host in (1, 2):
        assert log_in(dora.user.email, "a guess", f"{network}::{host}").status_code == 401
    assert log_in(dora.user.email, address=f"{network}:ffff::3").status_code == 429


def test_guesses_of_others_do_not_lock_dora_out(dora: Person, limits: Any) -> None:
    limits(login_account=3)
    guesses = [log_in(dora.user.email, "a guess") for _ in range(10)]
    assert {guess.status_code for guess in guesses} == {401}
    assert log_in(dora.user.email).status_code == 200


def test_every_response_beyond_the_limit_of_an_account_is_delayed(
    dora: Person, limits: Any
) -> None:
    limits(login_account=2)
    unknown = f"{uuid4()}@example.com"
    for email in (dora.user.email, unknown):
        assert not any(is_delayed(log_in(email, "a guess")) for _ in range(2))
        assert is_delayed(log_in(email, "a guess"))
        assert is_delayed(log_in(email))
    emil = person(f"Emil-{uuid4().hex}")
    assert not is_delayed(log_in(emil.user.email))


def test_refused_client_does_not_consume_the_limit_of_the_account(
    dora: Person, limits: Any
) -> None:
    limits(login=2, login_account=3)
    here = elsewhere()
    for _ in range(10):
        log_in(dora.user.email, "a guess", here)
    assert not is_delayed(log_in(dora.user.email))
    assert is_delayed(log_in(dora.user.email))


def test_invalid_body_consumes_no_limit(dora: Person, limits: Any) -> None:
    limits(login=1, login_account=1, login_address=1)
    here = elsewhere()
    for wrong in ("", " ", "x" * 129):
        assert log_in(dora.user.email, wrong, here).status_code == 422
        assert log_in(wrong, address=here).status_code == 422
    response = log_in(dora.user.email, address=here)
    assert response.status_code == 200
    assert not is_delayed(response)


def test_dora_is_alerted_once_an_hour(dora: Person, limits: Any) -> None:
    limits(login_account=2)
    for _ in range(2):
        log_in(dora.user.email, "a guess")
    assert alerts_to(dora) == []
    for _ in range(5):
        log_in(dora.user.email, "a guess")
    [alert] = alerts_to(dora)
    assert alert.pop("at").endswith("Z")
    assert alert == {"reason": "failed_logins"}
    User.objects.update(alerted_at=timezone.now() - timedelta(minutes=61))
    log_in(dora.user.email, "a guess")
    assert len(alerts_to(dora)) == 2


def test_guesses_at_an_unknown_address_alert_nobody(dora: Person, limits: Any) -> None:
    limits(login_account=1)
    unknown = f"{uuid4()}@example.com"
    for _ in range(3):
        log_in(unknown, "a guess")
    assert not LoggedEvent.objects.filter(type="security_alert").exists()


@pytest.mark.django_db(transaction=True)
def test_concurrent_guesses_alert_dora_once(dora: Person, limits: Any) -> None:
    limits(login_account=1)
    log_in(dora.user.email, "a guess")
    responses: list[Any] = together(*[lambda: log_in(dora.user.email, "a guess")] * 8)
    assert [response.status_code for response in responses] == [401] * 8
    assert len(alerts_to(dora)) == 1
