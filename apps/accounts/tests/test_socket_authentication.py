"""Who may open a websocket. The socket itself is tested in apps/realtime."""

from typing import Any

import pytest
from pytest_django import Settings

from apps.accounts import socket_authentication
from apps.accounts.errors import InvalidToken, OriginNotAllowed, SessionOver
from apps.accounts.models import Session, WebsocketTicket
from apps.accounts.socket_authentication import AccountsSocketAuthenticator
from apps.accounts.tests.people import Person
from apps.accounts.tickets import ticket_issue


@pytest.fixture(autouse=True)
def _named(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["chat.example.com", "testserver"]


def admit(query: str = "", scheme: str = "ws", **headers: str) -> str:
    """Return the id of the person who comes in by this request."""
    scope: dict[str, Any] = {
        "scheme": scheme,
        "query_string": query.encode(),
        "headers": [
            (b"host", b"chat.example.com"),
            *((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()),
        ],
    }
    identity, profile = AccountsSocketAuthenticator().authenticate(scope)
    assert str(identity.user_id) == str(profile["id"])
    return str(identity.user_id)


def test_a_ticket_a_header_and_a_token_let_in(alice: Person) -> None:
    ticket = ticket_issue(alice.user, session=Session.objects.get())
    assert admit(f"ticket={ticket}") == alice.id
    assert admit(authorization=f"Bearer {alice.access}") == alice.id
    assert admit(f"token={alice.access}") == alice.id


def test_a_ticket_in_a_query_is_used_up(alice: Person) -> None:
    ticket = ticket_issue(alice.user, session=Session.objects.get())
    admit(f"ticket={ticket}")
    with pytest.raises(InvalidToken):
        admit(f"ticket={ticket}")


@pytest.mark.parametrize(
    "query", ["", "token=", "token=garbage", "ticket=", "ticket=garbage", "token=%ff%00", "&&=="]
)
def test_nobody_is_let_in_without_a_good_one(alice: Person, query: str) -> None:
    with pytest.raises(InvalidToken):
        admit(query)


def test_a_refresh_token_opens_no_socket(alice: Person) -> None:
    """Original defect 33."""
    with pytest.raises(InvalidToken):
        admit(f"token={alice.refresh}")


def test_a_token_whose_session_is_over_opens_no_socket(alice: Person) -> None:
    """Original defect 33."""
    alice.post("/auth/logout")
    with pytest.raises(SessionOver):
        admit(authorization=f"Bearer {alice.access}")


def test_tokens_in_the_address_can_be_switched_off(alice: Person, settings: Settings) -> None:
    """Original defect 32: the token in the address ends up in logs."""
    settings.WEBSOCKET_QUERY_TOKEN = False
    with pytest.raises(InvalidToken):
        admit(f"token={alice.access}")
    assert admit(authorization=f"Bearer {alice.access}") == alice.id


@pytest.mark.parametrize(
    ("origin", "scheme"),
    [
        ("http://chat.example.com", "ws"),
        ("https://chat.example.com", "wss"),
        ("https://app.example.com", "ws"),
    ],
)
def test_pages_of_this_host_and_of_allowed_origins_may_connect(
    alice: Person, settings: Settings, origin: str, scheme: str
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.com"]
    assert admit(f"token={alice.access}", scheme, origin=origin) == alice.id


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "null",
        "",
        "https://chat.example.com",
        "http://chat.example.com:8080",
        "http://app.example.com",
        "https://app.example.com.evil.com",
        "https://app.example.com/",
    ],
)
def test_pages_of_other_origins_may_not(alice: Person, settings: Settings, origin: str) -> None:
    """Original defect 32: every Origin was accepted."""
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.com"]
    ticket = ticket_issue(alice.user, session=Session.objects.get())
    with pytest.raises(OriginNotAllowed):
        admit(f"ticket={ticket}", origin=origin)
    assert WebsocketTicket.objects.count() == 1


def test_only_good_sessions_live_on(alice: Person, bob: Person) -> None:
    hers, his = (Session.objects.get(user=person.user).pk for person in (alice, bob))
    bob.post("/auth/logout")
    assert AccountsSocketAuthenticator().active_sessions([hers, his]) == {hers}


def test_forwarded_addresses_in_several_lines_are_one_list(
    alice: Person, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each proxy may add a line of its own instead of to the one before it."""
    settings.SERVER_TRUSTED_PROXIES = 2
    seen: list[str] = []
    monkeypatch.setattr(socket_authentication, "consume_address", seen.append)
    lines = (b"198.51.100.1, 192.0.2.7", b"10.0.0.1")
    scope: dict[str, Any] = {
        "query_string": f"token={alice.access}".encode(),
        "client": ("10.0.0.2", 1),
        "headers": [
            (b"host", b"chat.example.com"),
            *((b"x-forwarded-for", line) for line in lines),
        ],
    }
    AccountsSocketAuthenticator().authenticate(scope)
    assert seen == ["192.0.2.7"]


def test_only_a_trusted_proxy_may_say_that_the_page_came_over_tls(
    alice: Person, settings: Settings
) -> None:
    own = {"origin": "https://chat.example.com", "x_forwarded_proto": "https"}
    with pytest.raises(OriginNotAllowed):
        admit(f"token={alice.access}", **own)
    settings.SERVER_TRUSTED_PROXIES = 1
    assert admit(f"token={alice.access}", **own) == alice.id
