"""Those in whose name the API is tried, and what there is for them to find."""

from collections.abc import Iterator, Mapping, Sequence
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
    """Somebody, logged in."""

    client: httpx.Client
    id: str
    email: str
    token: str

    def post(self, path: str, **body: Any) -> Any:
        """Return the data of the answer to a POST below /api/v1."""
        return _data(self.client.post(path, json=body, headers=self.headers))

    def get(self, path: str) -> Any:
        """Return the data of the answer to a GET."""
        return _data(self.client.get(path, headers=self.headers))

    @property
    def headers(self) -> dict[str, str]:
        """Return the header that says who it is."""
        return {"Authorization": f"Bearer {self.token}"}

    def write_post(self, status: str) -> Any:
        """Return a new post."""
        return self.post("/posts", title="A title", content="Long enough.", status=status)

    def write_to(self, other: "Person") -> Any:
        """Return a new message."""
        return self.post("/messages", receiverId=other.id, content="Hello")


@dataclass(frozen=True)
class People:
    """Two who write to each other, one on many devices, and the real values that they left."""

    url: str
    client: httpx.Client
    ann: Person
    bob: Person
    cleo: Person
    real: Mapping[str, Sequence[str | int]]


@contextmanager
def people_on(url: str) -> Iterator[People]:
    """Register them at a server, give them a past, and yield them."""
    with httpx.Client(base_url=f"{url}/api/v1", timeout=30) as client:
        ann, bob, cleo = (newcomer(client) for _ in range(3))
        yield People(url, client, ann, bob, cleo, _past_of(ann, bob, cleo))


def newcomer(client: httpx.Client) -> Person:
    """Return a new person."""
    email = new_email()
    login = _data(
        client.post("/auth/register", json={"name": "Dora", "email": email, "password": PASSWORD})
    )
    return Person(client, login["user"]["id"], email, login["accessToken"])


def new_email() -> str:
    """Return an address that nobody has."""
    return f"person{next(_newcomers)}@example.com"


def _past_of(ann: Person, bob: Person, cleo: Person) -> Mapping[str, Sequence[str | int]]:
    public, drafts, doomed = (
        [author.write_post(status) for _ in range(EACH) for author in (ann, bob)]
        for status in ("published", "draft", "published")
    )
    messages = [message for _ in range(EACH) for message in (ann.write_to(bob), bob.write_to(ann))]
    logins = [
        cleo.post("/auth/login", email=cleo.email, password=PASSWORD) for _ in range(4 * EACH)
    ]
    return {
        "users": [ann.id, bob.id, cleo.id],
        "posts": [post["id"] for post in public],
        "slugs": [post["slug"] for post in public],
        "drafts": [post["id"] for post in drafts],
        "doomed_posts": [post["id"] for post in doomed],
        "messages": [message["id"] for message in messages],
        "conversations": [messages[0]["conversationId"]],
        # The latest logins come first, so that these are of other devices than those.
        "sessions": [session["id"] for session in cleo.get("/auth/sessions")[: 2 * EACH]],
        "refresh_tokens": [login["refreshToken"] for login in logins[: 2 * EACH]],
        "emails": [cleo.email],
        "passwords": [PASSWORD],
        "versions": [1, 2, 3],
    }


def _data(response: httpx.Response) -> Any:
    assert response.is_success, response.text
    return response.json()["data"]
