"""POST /auth/ws-ticket, and redeeming the ticket."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.errors import InvalidToken, SessionNotFound, SessionOver
from apps.accounts.models import Session, WebsocketTicket
from apps.accounts.pruning import accounts_prune
from apps.accounts.tests.people import Person, redeem
from apps.accounts.tickets import ticket_issue
from apps.core.tests.together import together
from testing.client import ContractClient


def ticket_of(person: Person) -> str:
    return str(person.post("/auth/ws-ticket").json()["data"]["ticket"])


def test_response_says_how_long_a_ticket_is_valid(alice: Person) -> None:
    response = alice.post("/auth/ws-ticket")
    assert response.status_code == 200
    assert response.json()["data"]["expiresIn"] == 30
    left = WebsocketTicket.objects.get().expires_at - timezone.now()
    assert timedelta(seconds=25) < left <= timedelta(seconds=30)


def test_anonymous_user_gets_no_ticket(anonymous: ContractClient, alice: Person) -> None:
    assert anonymous.post("/api/v1/auth/ws-ticket").status_code == 401
    assert not WebsocketTicket.objects.exists()


def test_bob_gets_no_ticket_for_a_session_of_alice(alice: Person, bob: Person) -> None:
    with pytest.raises(SessionNotFound):
        ticket_issue(bob.user, session=alice.user.sessions.get())
    assert not WebsocketTicket.objects.exists()


def test_ticket_is_not_stored_in_plain_text(alice: Person) -> None:
    ticket = ticket_of(alice)
    assert ticket not in str(WebsocketTicket.objects.values().get())


def test_ticket_works_once(alice: Person) -> None:
    ticket = ticket_of(alice)
    assert redeem(ticket) == Session.objects.get()
    with pytest.raises(InvalidToken):
        redeem(ticket)


def test_session_keeps_its_ten_latest_unused_tickets(alice: Person, bob: Person) -> None:
    bobs = ticket_of(bob)
    tickets = [ticket_of(alice) for _ in range(12)]
    assert WebsocketTicket.objects.filter(session__user=alice.user).count() == 10
    for ticket in tickets[:2]:
        with pytest.raises(InvalidToken):
            redeem(ticket)
    for ticket in [*tickets[2:], bobs]:
        redeem(ticket)


@pytest.mark.django_db(transaction=True)
def test_session_keeps_ten_of_many_concurrent_tickets(alice: Person) -> None:
    session = Session.objects.get()
    tickets = together(*[lambda: ticket_issue(alice.user, session=session)] * 24)
    assert not [ticket for ticket in tickets if not isinstance(ticket, str)]
    assert WebsocketTicket.objects.count() == 10


def test_alice_is_refused_after_too_many_tickets(
    alice: Person, bob: Person, settings: Settings
) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(ws_ticket=2)
    tablet = alice.another_device()
    statuses = [one.post("/auth/ws-ticket").status_code for one in (alice, tablet, alice)]
    assert statuses == [200, 200, 429]
    assert WebsocketTicket.objects.count() == 2
    assert bob.post("/auth/ws-ticket").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_unknown_ticket_blocks_no_writer(alice: Person) -> None:
    """On SQLite a transaction would block all other writers, even if it writes nothing."""
    with CaptureQueriesContext(connection) as sent:
        for ticket in ("garbage", ""):
            with pytest.raises(InvalidToken):
                redeem(ticket)
    assert [query["sql"].partition(" ")[0] for query in sent] == ["SELECT", "SELECT"]


@pytest.mark.django_db(transaction=True)
def test_only_one_of_eight_concurrent_uses_of_a_ticket_succeeds(alice: Person) -> None:
    ticket = ticket_of(alice)
    results = together(*[lambda: redeem(ticket)] * 8)
    assert sum(isinstance(result, Session) for result in results) == 1
    assert sum(isinstance(result, InvalidToken) for result in results) == 7


def test_an_expired_ticket_is_refused(alice: Person) -> None:
    ticket = ticket_of(alice)
    WebsocketTicket.objects.update(expires_at=timezone.now())
    with pytest.raises(InvalidToken):
        redeem(ticket)


@pytest.mark.parametrize("ticket", ["", "unknown", "é\0", "x" * 100_000])
def test_an_unknown_ticket_is_refused(alice: Person, ticket: str) -> None:
    ticket_of(alice)
    with pytest.raises(InvalidToken):
        redeem(ticket)
    assert WebsocketTicket.objects.count() == 1


def test_the_ticket_of_a_session_that_is_over_is_refused(alice: Person) -> None:
    """The ticket itself has not expired yet."""
    ticket = ticket_of(alice)
    alice.post("/auth/logout")
    with pytest.raises(SessionOver):
        redeem(ticket)


def test_pruning_deletes_only_expired_tickets_and_sessions(alice: Person, bob: Person) -> None:
    ticket_of(alice)
    past = timezone.now() - timedelta(minutes=1)
    WebsocketTicket.objects.update(expires_at=past)
    ticket = ticket_of(alice)
    Session.objects.filter(user=bob.user).update(
        created_at=past - timedelta(days=7), expires_at=past
    )
    assert accounts_prune() == 2
    assert Session.objects.get().user == alice.user
    assert redeem(ticket).user == alice.user
