"""The request of a known person, for the type checker: what BearerAuthentication has put in it."""

from typing import Any

from rest_framework.request import Request

from apps.accounts.models import Session, User


class PersonRequest(Request):
    """A request whose permission class has made sure that somebody is logged in."""

    user: User
    auth: Session
    data: dict[str, Any]


def viewer_of(request: Request) -> User | None:
    """Return who asks, None for a stranger."""
    return request.user if request.user.is_authenticated else None
