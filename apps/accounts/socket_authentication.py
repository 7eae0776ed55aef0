"""Who may open a websocket: an active session, from an allowed origin."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from apps.accounts.errors import InvalidToken, OriginNotAllowed
from apps.accounts.known_sessions import session_of_token
from apps.accounts.models import Session
from apps.accounts.selectors import active_sessions_among
from apps.accounts.serializers import ProfileOutput
from apps.accounts.tickets import ticket_redeem
from apps.core.errors import UnknownHost
from apps.core.http.middleware import address_in_scope
from apps.core.ratelimit import consume_address
from apps.realtime.sockets import Identity


class AccountsSocketAuthenticator:
    """Authenticates by a ticket, a header or a token, and only from allowed origins."""

    def authenticate(self, scope: Mapping[str, Any]) -> tuple[Identity, Mapping[str, Any]]:
        """See realtime.registry.SocketAuthenticator."""
        headers = _joined(scope["headers"])
        # Every request counts before its credentials are read, because the limit is for guessing.
        consume_address(address_in_scope(scope))
        _require_known_host(headers)
        _require_known_origin(headers, scope.get("scheme", "ws"))
        session = _session(headers, parse_qs(scope["query_string"].decode("latin-1")))
        return Identity(session.user_id, session.pk), ProfileOutput.dump(session.user)

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


def _session(headers: Mapping[bytes, str], query: Mapping[str, list[str]]) -> Session:
    if "ticket" in query:
        return ticket_redeem(ticket=query["ticket"][0])
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    if scheme.lower() != "bearer" and "token" in query and settings.WEBSOCKET_QUERY_TOKEN:
        token = query["token"][0]
    elif scheme.lower() != "bearer":
        raise InvalidToken("Send a ticket, an Authorization header or a token")
    return session_of_token(token.strip())


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
