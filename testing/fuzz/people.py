"""The users in whose name a run calls the API."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx

PASSWORD = "correct horse 9"  # noqa: S105
EACH = 10

_newcomers = count(1)


@dataclass(frozen=True)
class Person:
    """A user, logged in."""

    client: httpx.Client
    id: str
    email: str
    token: str

    def post(self, path: str, **body: Any) -> Any:
        """Return the data of the response to a POST below /api/v1."""
        return _data(self.client.post(path, json=body, headers=self.headers))

    def get(self, path: str) -> Any:
        """Return the data of the response to a GET."""
        return _data(self.client.get(path, headers=self.headers))

    @property
    def headers(self) -> dict[str, str]:
        """Return the header with the token."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True)
class People:
    """Two users who write to each other, and one with many sessions."""

    url: str
    client: httpx.Client
    ann: Person
    bob: Person
    cleo: Person


@contextmanager
def people_on(url: str) -> Iterator[People]:
    """Register the users at a server and yield them."""
    with httpx.Client(base_url=f"{url}/api/v1", timeout=30) as client:
        ann, bob, cleo = (newcomer(client) for _ in range(3))
        yield People(url, client, ann, bob, cleo)


def newcomer(client: httpx.Client) -> Person:
    """Register a new user and return them."""
    email = new_email()
    login = _data(
        client.post("/auth/register", json={"name": "Dora", "email": email, "password": PASSWORD})
    )
    return Person(client, login["user"]["id"], email, login["accessToken"])


def new_email() -> str:
    """Return an address that no user has."""
    return f"person{next(_newcomers)}@example.com"


def _data(response: httpx.Response) -> Any:
    assert response.is_success, response.text
    return response.json()["data"]
