"""Requests: what BearerAuthentication has put into one, and what the bridge takes from one."""

from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

from apps.accounts.models import Session, User
from apps.accounts.sessions import Device
from apps.core.http.middleware import client_address


class UserRequest(Request):
    """A request whose permission class has made sure that somebody is logged in."""

    user: User
    auth: Session
    data: dict[str, Any]


def viewer_of(request: Request) -> User | None:
    """Return who asks, None for a stranger."""
    return request.user if request.user.is_authenticated else None


def device_of(request: HttpRequest | Request) -> Device:
    """Return where a request comes from."""
    return Device(client_address(request), request.headers.get("User-Agent", ""))


def hold_back(request: HttpRequest, seconds: float) -> None:
    """Have the answer sent so many seconds after it is made, with no thread held meanwhile."""
    request.META["parley.delay"] = seconds
