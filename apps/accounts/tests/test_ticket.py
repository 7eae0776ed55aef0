"""POST /auth/ws-ticket, and what a ticket is good for."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.errors import InvalidToken, SessionNotFound, SessionOver
from apps.accounts.models import Session, WebsocketTicket
from apps.accounts.pruning import accounts_prune
from apps.accounts.tests.people import Person
from apps.accounts.tickets import ticket_issue, ticket_redeem
from apps.core.tests.together import together
from testing.client import ContractClient


def ticket_of(person: Person) -> str:
    return str(person.post("/auth/ws-ticket").json()["data"]["ticket"])


def test_a_ticket_names_its_time(alice: Person) -> None:
    response = alice.post("/auth/ws-ticket")
    assert response.status_code == 200
    assert response.json()["data"]["expiresIn"] == 30
    left = WebsocketTicket.objects.get().expires_at - timezone.now()
    assert timedelta(seconds=25) < left <= timedelta(seconds=30)


def test_nobody_gets_no_ticket(anonymous: ContractClient, alice: Person) -> None:
    assert anonymous.post("/api/v1/auth/ws-ticket").status_code == 401
    assert not WebsocketTicket.objects.exists()


def test_nobody_gets_a_ticket_of_another_s_session(alice: Person, bob: Person) -> None:
    with pytest.raises(SessionNotFound):
        ticket_issue(bob.user, session=alice.user.sessions.get())
    assert not WebsocketTicket.objects.exists()


def test_a_ticket_is_not_kept_as_it_is(alice: Person) -> None:
    ticket = ticket_of(alice)
    assert ticket not in str(WebsocketTicket.objects.values().get())


def test_a_ticket_is_good_once(alice: Person) -> None:
    ticket = ticket_of(alice)
    assert ticket_redeem(ticket=ticket) == Session.objects.get()
    with pytest.raises(InvalidToken):
        ticket_redeem(ticket=ticket)


def test_a_session_has_ten_unused_tickets_at_most_the_latest(alice: Person, bob: Person) -> None:
    of_bob = ticket_of(bob)
    tickets = [ticket_of(alice) for _ in range(12)]
    assert WebsocketTicket.objects.filter(session__user=alice.user).count() == 10
    for ticket in tickets[:2]:
        with pytest.raises(InvalidToken):
            ticket_redeem(ticket=ticket)
    for ticket in [*tickets[2:], of_bob]:
        ticket_redeem(ticket=ticket)


@pytest.mark.django_db(transaction=True)
def test_of_many_issued_at_once_ten_are_left(alice: Person) -> None:
    session = Session.objects.get()
    tickets = together(*[lambda: ticket_issue(alice.user, session=session)] * 24)
    assert not [ticket for ticket in tickets if not isinstance(ticket, str)]
    assert WebsocketTicket.objects.count() == 10


def test_a_person_may_ask_for_tickets_only_so_often(
    alice: Person, bob: Person, settings: Settings
) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(ws_ticket=2)
    tablet = alice.another_device()
    statuses = [one.post("/auth/ws-ticket").status_code for one in (alice, tablet, alice)]
    assert statuses == [200, 200, 429]
    assert WebsocketTicket.objects.count() == 2
    assert bob.post("/auth/ws-ticket").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_ticket_that_is_not_there_keeps_no_writer_waiting(alice: Person) -> None:
    """On SQLite a transaction is the one writer's, whatever it does."""
    with CaptureQueriesContext(connection) as sent:
        for ticket in ("garbage", ""):
            with pytest.raises(InvalidToken):
                ticket_redeem(ticket=ticket)
    assert [query["sql"].partition(" ")[0] for query in sent] == ["SELECT", "SELECT"]


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_bring_the_same_ticket_at_once_one_comes_in(alice: Person) -> None:
    ticket = ticket_of(alice)
    answers = together(*[lambda: ticket_redeem(ticket=ticket)] * 8)
    assert sum(isinstance(answer, Session) for answer in answers) == 1
    assert sum(isinstance(answer, InvalidToken) for answer in answers) == 7


def test_an_expired_ticket_is_refused(alice: Person) -> None:
    ticket = ticket_of(alice)
    WebsocketTicket.objects.update(expires_at=timezone.now())
    with pytest.raises(InvalidToken):
        ticket_redeem(ticket=ticket)


@pytest.mark.parametrize("ticket", ["", "unknown", "é\0", "x" * 100_000])
def test_an_unknown_ticket_is_refused(alice: Person, ticket: str) -> None:
    ticket_of(alice)
    with pytest.raises(InvalidToken):
        ticket_redeem(ticket=ticket)
    assert WebsocketTicket.objects.count() == 1


def test_the_ticket_of_a_session_that_is_over_is_refused(alice: Person) -> None:
    """Original defect 33."""
    ticket = ticket_of(alice)
    alice.post("/auth/logout")
    with pytest.raises(SessionOver):
        ticket_redeem(ticket=ticket)


def test_pruning_deletes_what_is_over_for_good_and_nothing_else(alice: Person, bob: Person) -> None:
    ticket_of(alice)
    past = timezone.now() - timedelta(minutes=1)
    WebsocketTicket.objects.update(expires_at=past)
    ticket = ticket_of(alice)
    Session.objects.filter(user=bob.user).update(
        created_at=past - timedelta(days=7), expires_at=past
    )
    assert accounts_prune() == 2
    assert Session.objects.get().user == alice.user
    assert ticket_redeem(ticket=ticket).user == alice.user
