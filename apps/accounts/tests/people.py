"""The users of the tests."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from random import getrandbits
from typing import Any

from django.db import transaction

from apps.accounts.locks import user_locked
from apps.accounts.models import Session, User
from apps.accounts.new_users import user_insert, user_prepare
from apps.accounts.sessions import Device, Login, session_begin
from apps.accounts.statuses import locked_user_set_status
from apps.accounts.tickets import tickets_redeem
from testing.client import ContractClient

PASSWORD = "correct horse 9"


@dataclass
class Person:
    """A user, logged in on one device, with a client that speaks for them."""

    user: User
    client: ContractClient
    access: str
    refresh: str

    @property
    def id(self) -> str:
        """Return the id of the user as the API writes it."""
        return str(self.user.pk)

    def get(self, path: str, data: Any = None, **headers: str) -> Any:
        """Return the response to a GET below /api/v1."""
        return self.client.get(f"/api/v1{path}", data, headers=headers)

    def post(self, path: str, data: Any = None, **headers: str) -> Any:
        """Return the response to a POST."""
        return self.client.post(f"/api/v1{path}", data, headers=headers)

    def put(self, path: str, data: Any = None, **headers: str) -> Any:
        """Return the response to a PUT."""
        return self.client.put(f"/api/v1{path}", data, headers=headers)

    def patch(self, path: str, data: Any = None, **headers: str) -> Any:
        """Return the response to a PATCH."""
        return self.client.patch(f"/api/v1{path}", data, headers=headers)

    def delete(self, path: str, **headers: str) -> Any:
        """Return the response to a DELETE."""
        return self.client.delete(f"/api/v1{path}", headers=headers)

    def another_device(self) -> "Person":
        """Return the same user, logged in on another device."""
        return _logged_in(self.user, Device("::1", "tablet"))


def person(name: str, role: str = User.Role.USER) -> Person:
    """Make a user with the role, and log them in. No mail is sent to them."""
    email = f"{name.lower()}@example.com"
    user = user_prepare(name=name, email=email, password=PASSWORD, role=role)
    with transaction.atomic():
        user_insert(user)
        return _logged_in(user, Device("127.0.0.1", "phone"))


def set_status(user: User, status: str) -> None:
    """Set the status of a user, as an administrator does."""
    with transaction.atomic():
        locked_user_set_status(user_locked(user.pk), status)


def redeem(ticket: str) -> Session:
    """Return the session of a ticket that is redeemed alone; raise why there is none."""
    [outcome] = tickets_redeem([ticket])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def elsewhere() -> str:
    """Return a client address that no other test uses, because Redis keeps its counts."""
    return str(IPv4Address(getrandbits(32)))


def anonymous_client() -> ContractClient:
    """Return a client that is not logged in."""
    return ContractClient()


def _logged_in(user: User, device: Device) -> Person:
    login = Login.of(session_begin(user, device))
    client = ContractClient(headers={"Authorization": f"Bearer {login.tokens.access}"})
    return Person(login.user, client, login.tokens.access, login.tokens.refresh)
