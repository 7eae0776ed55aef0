"""Who may open a websocket. The socket itself is tested in apps/realtime."""

from collections.abc import Sequence
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


def authenticate(query: str = "", scheme: str = "ws", **headers: str) -> str:
    """Return the id of the user that this request authenticates."""
    scope: dict[str, Any] = {
        "scheme": scheme,
        "query_string": query.encode(),
        "headers": [
            (b"host", b"chat.example.com"),
            *((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()),
        ],
    }
    [outcome] = AccountsSocketAuthenticator().authenticate([scope])
    if isinstance(outcome, Exception):
        raise outcome
    assert outcome.identity.user_id == outcome.user["id"]
    return str(outcome.identity.user_id)


def test_ticket_header_and_token_each_authenticate_alice(alice: Person) -> None:
    ticket = ticket_issue(alice.user, session=Session.objects.get())
    assert authenticate(f"ticket={ticket}") == alice.id
    assert authenticate(authorization=f"Bearer {alice.access}") == alice.id
    assert authenticate(f"token={alice.access}") == alice.id


def test_ticket_in_a_query_works_once(alice: Person) -> None:
    ticket = ticket_issue(alice.user, session=Session.objects.get())
    authenticate(f"ticket={ticket}")
    with pytest.raises(InvalidToken):
        authenticate(f"ticket={ticket}")


@pytest.mark.parametrize(
    "query", ["", "token=", "token=garbage", "ticket=", "ticket=garbage", "token=%ff%00", "&&=="]
)
def test_socket_without_valid_credentials_is_refused(alice: Person, query: str) -> None:
    with pytest.raises(InvalidToken):
        authenticate(query)


def test_a_refresh_token_opens_no_socket(alice: Person) -> None:
    """A refresh token lives longer, and is only for getting access tokens."""
    with pytest.raises(InvalidToken):
        authenticate(f"token={alice.refresh}")


def test_a_token_whose_session_is_over_opens_no_socket(alice: Person) -> None:
    """The token itself has not expired yet."""
    alice.post("/auth/logout")
    with pytest.raises(SessionOver):
        authenticate(authorization=f"Bearer {alice.access}")


def test_setting_disables_tokens_in_the_url(alice: Person, settings: Settings) -> None:
    """Proxies may write a token in the URL to their logs."""
    settings.WEBSOCKET_QUERY_TOKEN = False
    with pytest.raises(InvalidToken):
        authenticate(f"token={alice.access}")
    assert authenticate(authorization=f"Bearer {alice.access}") == alice.id


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
    assert authenticate(f"token={alice.access}", scheme, origin=origin) == alice.id


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
def test_pages_of_other_origins_may_not_connect(
    alice: Person, settings: Settings, origin: str
) -> None:
    """A page of another site could otherwise open a socket in the user's browser."""
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.com"]
    ticket = ticket_issue(alice.user, session=Session.objects.get())
    with pytest.raises(OriginNotAllowed):
        authenticate(f"ticket={ticket}", origin=origin)
    assert WebsocketTicket.objects.count() == 1


def test_active_sessions_omit_an_ended_session(alice: Person, bob: Person) -> None:
    hers, bobs = (Session.objects.get(user=person.user).pk for person in (alice, bob))
    bob.post("/auth/logout")
    assert AccountsSocketAuthenticator().active_sessions([hers, bobs]) == {hers}


def test_forwarded_addresses_in_several_lines_are_one_list(
    alice: Person, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy may add a line of its own instead of extending the line before it."""
    settings.SERVER_TRUSTED_PROXIES = 2
    seen: list[str] = []

    def note(addresses: Sequence[str]) -> list[None]:
        seen.extend(addresses)
        return [None] * len(addresses)

    monkeypatch.setattr(socket_authentication, "address_refusals", note)
    lines = (b"198.51.100.1, 192.0.2.7", b"10.0.0.1")
    scope: dict[str, Any] = {
        "query_string": f"token={alice.access}".encode(),
        "client": ("10.0.0.2", 1),
        "headers": [
            (b"host", b"chat.example.com"),
            *((b"x-forwarded-for", line) for line in lines),
        ],
    }
    AccountsSocketAuthenticator().authenticate([scope])
    assert seen == ["192.0.2.7"]


def test_only_a_trusted_proxy_may_say_that_the_page_came_over_tls(
    alice: Person, settings: Settings
) -> None:
    own = {"origin": "https://chat.example.com", "x_forwarded_proto": "https"}
    with pytest.raises(OriginNotAllowed):
        authenticate(f"token={alice.access}", **own)
    settings.SERVER_TRUSTED_PROXIES = 1
    assert authenticate(f"token={alice.access}", **own) == alice.id
