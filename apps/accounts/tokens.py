"""Access and refresh tokens: simplejwt's, with the claims of contract 2."""

from dataclasses import dataclass
from uuid import UUID

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from apps.accounts.errors import InvalidToken
from apps.accounts.models import Session


@dataclass(frozen=True)
class TokenPair:
    """What a client is given at a login and at each refresh. Times are in seconds."""

    access: str
    refresh: str
    refresh_jti: str
    expires_in: int


@dataclass(frozen=True)
class Claims:
    """What a token that was found good says."""

    session_id: UUID
    jti: str


def issue_pair(session: Session) -> TokenPair:
    """Return a fresh pair of tokens for the session. The caller stores the refresh token's jti."""
    access, refresh = AccessToken(), RefreshToken()
    for token in (access, refresh):
        token["userId"] = str(session.user_id)
        token["role"] = session.user.role
        token["sid"] = str(session.pk)
    lifetime = int(api_settings.ACCESS_TOKEN_LIFETIME.total_seconds())
    return TokenPair(str(access), str(refresh), refresh["jti"], lifetime)


def read_access(token: str) -> Claims:
    """Return the claims of an access token; raise InvalidToken, for a refresh token too."""
    return _read(AccessToken, token)


def read_refresh(token: str) -> Claims:
    """Return the claims of a refresh token; raise InvalidToken, for an access token too."""
    return _read(RefreshToken, token)


def _read(kind: type[Token], raw: str) -> Claims:
    try:
        token = kind(raw)  # type: ignore[arg-type]
        return Claims(UUID(token["sid"]), token["jti"])
    except (TokenError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InvalidToken from error
