"""What accounts read from a request, and how they delay its response."""

from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

from apps.accounts.models import Session, User
from apps.accounts.sessions import Device
from apps.core.http.middleware import client_address


class UserRequest(Request):
    """A request of a logged-in user, as the permission class has checked."""

    user: User
    auth: Session
    data: dict[str, Any]


def current_user(request: Request) -> User | None:
    """Return the user who sends the request, None for an anonymous user."""
    return request.user if request.user.is_authenticated else None


def device_of(request: HttpRequest | Request) -> Device:
    """Return the device that sends the request."""
    return Device(client_address(request), request.headers.get("User-Agent", ""))


def delay_response(request: HttpRequest, seconds: float) -> None:
    """Make the bridge send the response so many seconds after it is ready. No thread waits for
    that."""
    request.META["parley.delay"] = seconds
