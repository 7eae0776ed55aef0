"""Bearer tokens over HTTP."""

import structlog
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from apps.accounts.errors import InvalidToken
from apps.accounts.known_sessions import session_of_token
from apps.accounts.models import Session, User


class BearerAuthentication(BaseAuthentication):
    """Finds the user by their access token. A session that ended is refused at once."""

    def authenticate(self, request: Request) -> tuple[User, Session] | None:
        """Return user and session, None without a token; raise InvalidToken or SessionOver."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer":
            raise InvalidToken("Use the Authorization header as: Bearer <access token>")
        session = session_of_token(token.strip())
        structlog.contextvars.bind_contextvars(user_id=str(session.user_id))
        return session.user, session

    def authenticate_header(self, request: Request) -> str:
        """Return the WWW-Authenticate header of a 401."""
        return "Bearer"


class BearerScheme(OpenApiAuthenticationExtension):
    """Describes BearerAuthentication in the schema."""

    target_class = BearerAuthentication
    name = "BearerAuth"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the security scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The accessToken of a login.",
        }
