"""Access and refresh tokens: simplejwt's, with claims that name the user, their role and the
session."""

from dataclasses import dataclass
from uuid import UUID, uuid4, uuid5

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from apps.accounts.errors import InvalidToken
from apps.accounts.models import Session


@dataclass(frozen=True)
class TokenPair:
    """The tokens that a client gets at a login and at each refresh. `expires_in` is in seconds."""

    access: str
    refresh: str
    expires_in: int


@dataclass(frozen=True)
class Claims:
    """The claims of a valid token, and until when it is valid, by time.time()."""

    session_id: UUID
    jti: str
    until: float


def new_jti() -> str:
    """Return an id for a refresh token."""
    return uuid4().hex


def issue_pair(session: Session) -> TokenPair:
    """Return the pair of tokens of the session's row. The same row gives the same pair, so that the
    server can send a lost pair again without storing any token."""
    issued = session.expires_at - api_settings.REFRESH_TOKEN_LIFETIME
    access, refresh = AccessToken(), RefreshToken()
    for token in (access, refresh):
        token.set_iat(at_time=issued)
        token.set_exp(from_time=issued)
        token["userId"] = str(session.user_id)
        token["role"] = session.user.role
        token["sid"] = str(session.pk)
    refresh["jti"] = session.refresh_jti
    access["jti"] = uuid5(UUID(session.refresh_jti), access.token_type).hex
    lifetime = int(api_settings.ACCESS_TOKEN_LIFETIME.total_seconds())
    return TokenPair(str(access), str(refresh), lifetime)


def read_access(token: str) -> Claims:
    """Return the claims of an access token; raise InvalidToken, for a refresh token too."""
    return _read(AccessToken, token)


def read_refresh(token: str) -> Claims:
    """Return the claims of a refresh token; raise InvalidToken, for an access token too."""
    return _read(RefreshToken, token)


def _read(kind: type[Token], raw: str) -> Claims:
    try:
        token = kind(raw)  # type: ignore[arg-type]
        until = token["exp"] + api_settings.LEEWAY.total_seconds()
        return Claims(UUID(token["sid"]), token["jti"], until)
    except (TokenError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InvalidToken from error
