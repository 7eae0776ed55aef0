"""Bearer tokens over HTTP."""

import structlog
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from apps.accounts.errors import InvalidToken
from apps.accounts.models import Session, User
from apps.accounts.selectors import session_active
from apps.accounts.sessions import session_note_use
from apps.accounts.tokens import read_access


class BearerAuthentication(BaseAuthentication):
    """Finds the person by their access token, whose session is looked up at every request."""

    def authenticate(self, request: Request) -> tuple[User, Session] | None:
        """Return user and session, None without a token; raise InvalidToken or SessionOver."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer":
            raise InvalidToken("Use the Authorization header as: Bearer <access token>")
        session = session_active(read_access(token.strip()).session_id)
        session_note_use(session)
        structlog.contextvars.bind_contextvars(user_id=str(session.user_id))
        return session.user, session

    def authenticate_header(self, request: Request) -> str:
        """Return the WWW-Authenticate of a 401."""
        return "Bearer"


class BearerScheme(OpenApiAuthenticationExtension):
    """Describes it in the schema."""

    target_class = BearerAuthentication
    name = "BearerAuth"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the security scheme."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
