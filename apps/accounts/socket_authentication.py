"""Who may open a websocket: an active session, from an allowed origin."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from apps.accounts.errors import InvalidToken, OriginNotAllowed
from apps.accounts.known_sessions import session_of_token, sessions_of_tokens
from apps.accounts.models import Session
from apps.accounts.selectors import active_sessions_among
from apps.accounts.shapes import profile_shape
from apps.accounts.tickets import tickets_redeem
from apps.core.errors import DomainError, UnknownHost
from apps.core.http.handler import as_domain_error
from apps.core.http.middleware import address_in_scope
from apps.core.ratelimit import address_refusals
from apps.realtime.registry import Authenticated, MustWait
from apps.realtime.sockets import Identity


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket that a client sent."""

    text: str


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that a client sent."""

    text: str


class AccountsSocketAuthenticator:
    """Authenticates by a ticket, a header or a token, and only from allowed origins."""

    def authenticate(
        self, scopes: Sequence[Mapping[str, Any]], *, wait: bool = True
    ) -> list[Authenticated | DomainError | MustWait]:
        """See realtime.registry.SocketAuthenticator."""
        # Every request counts before its credentials are read, because the limit is for guessing.
        refusals = address_refusals([address_in_scope(scope) for scope in scopes])
        asked = [
            _credential(scope) if refusal is None else refusal
            for scope, refusal in zip(scopes, refusals, strict=True)
        ]
        tickets = [one.text for one in asked if isinstance(one, Ticket)]
        tokens = [one.text for one in asked if isinstance(one, Token)]
        outcomes: dict[type, Iterator[Any]] = {
            Ticket: iter(tickets_redeem(tickets, wait=wait)),
            Token: iter(sessions_of_tokens(tokens)),
        }
        found: list[Any] = [
            next(outcomes[type(one)]) if type(one) in outcomes else one for one in asked
        ]
        return [_authenticated(one) if isinstance(one, Session) else one for one in found]

    def identify(self, token: str) -> Identity:
        """See realtime.registry.SocketAuthenticator."""
        session = session_of_token(token)
        return Identity(session.user_id, session.pk)

    def active_sessions(self, sessions: Iterable[UUID]) -> set[UUID]:
        """See realtime.registry.SocketAuthenticator."""
        return active_sessions_among(sessions)


def _joined(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """Return the headers by name; a header in several lines becomes one (RFC 9110, 5.3)."""
    headers: dict[bytes, str] = {}
    for name, raw in pairs:
        value = raw.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _authenticated(session: Session) -> Authenticated:
    return Authenticated(Identity(session.user_id, session.pk), profile_shape(session.user))


def _credential(scope: Mapping[str, Any]) -> Ticket | Token | DomainError:
    """Return what the client authenticates with, or why they may not."""
    try:
        headers = _joined(scope["headers"])
        _require_known_host(headers)
        _require_known_origin(headers, scope.get("scheme", "ws"))
        return _find_credential(headers, parse_qs(scope["query_string"].decode("latin-1")))
    except Exception as error:  # noqa: BLE001
        # The others who arrive with this client must not fail with them.
        return as_domain_error(error)


def _find_credential(
    headers: Mapping[bytes, str], query: Mapping[str, list[str]]
) -> Ticket | Token:
    if "ticket" in query:
        return Ticket(query["ticket"][0])
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    if scheme.lower() != "bearer" and "token" in query and settings.WEBSOCKET_QUERY_TOKEN:
        token = query["token"][0]
    elif scheme.lower() != "bearer":
        raise InvalidToken("Send a ticket, an Authorization header or a token")
    return Token(token.strip())


def _require_known_host(headers: Mapping[bytes, str]) -> None:
    """Raise UnknownHost for a name that is not this server's, as Django does over HTTP."""
    domain, _ = split_domain_port(headers.get(b"host", ""))
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        raise UnknownHost


def _require_known_origin(headers: Mapping[bytes, str], scheme: str) -> None:
    """Raise OriginNotAllowed for a page of another site.

    Browsers always send an Origin. Other programs send none and may connect, because they have no
    cookies or pages that another site could abuse (docs/decisions/0004-websocket-origins.md).
    """
    origin = headers.get(b"origin")
    behind_tls = settings.SERVER_TRUSTED_PROXIES and headers.get(b"x-forwarded-proto") == "https"
    http = "https" if scheme == "wss" or behind_tls else "http"
    own = f"{http}://{headers.get(b'host', '')}"
    if origin is not None and origin not in {own, *settings.CORS_ALLOWED_ORIGINS}:
        raise OriginNotAllowed
