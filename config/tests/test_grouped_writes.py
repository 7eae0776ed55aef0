"""Writes that are answered by the event loop and committed in groups: they are those of the view,
and a fault of one costs the others nothing."""

import asyncio
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError
from pytest_django import Settings

from apps.accounts.sessions import session_logout
from apps.accounts.tests.people import Person, person
from apps.chat.models import Message
from apps.chat.tests.factories import user_events
from apps.core.db.sql import insert_objects
from apps.core.http.grouped_writes import LONGEST_BODY, GroupedWrites, Written
from apps.core.tests.raw import received
from apps.core.tests.together import together
from apps.posts import services
from apps.posts.models import Post, PostSlug
from apps.posts.tests.factories import CONTENT, draft_of, logged_events, published_by, row
from apps.realtime.tests.fixtures import in_closing_thread
from config import grouped_writes
from testing.server import ServerProcess, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("closing_threads")]

POST = {"title": "Harbour lights", "content": CONTENT}
# What differs between two answers to two such requests.
OWN = {"id", "slug", "createdAt", "updatedAt", "publishedAt", "seq", "conversationId"} | {
    "requestId",
    "timestamp",
    "durationMs",
    "path",
}


@pytest.fixture(autouse=True)
def _closing_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouped_writes, "in_reading_thread", in_closing_thread)


class Asked:
    """A request of a person, below /api/v1."""

    def __init__(
        self, who: Person, method: str, path: str, body: Any, headers: Mapping[str, str] = {}
    ) -> None:
        self.who, self.method, self.path, self.body = who, method, path, body
        self.headers = {"Authorization": f"Bearer {who.access}", "Host": "localhost", **headers}

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    async def answered_by(self, writes: GroupedWrites) -> Written | None:
        """Return the answer to the request, as the protocol gives it once the body has arrived."""
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(self.content)),
            **self.headers,
        }
        sent = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        accepted = writes.accept(self.method, f"/api/v1{self.path}", sent, "127.0.0.1")
        return None if accepted is None else await writes.answer(accepted, self.content)


def answers(*requests: Asked) -> list[Written | None]:
    """Return the answers to requests that wait at one moment, None for each that the view is to
    answer."""

    async def ask() -> list[Written | None]:
        writes = grouped_writes.grouped_writes()
        return await asyncio.gather(*(one.answered_by(writes) for one in requests))

    return asyncio.run(ask())


def statuses(*requests: Asked) -> list[int | None]:
    return [None if one is None else one.status for one in answers(*requests)]


def create(who: Person, more: Any = None, **headers: str) -> Asked:
    return Asked(who, "POST", "/posts", POST | (more or {}), headers)


def send(who: Person, to: Person, content: str = "Ahoy", **more: Any) -> Asked:
    return Asked(who, "POST", "/messages", {"receiverId": to.id, "content": content} | more)


def change(who: Person, post: Post, more: Any, method: str = "PATCH", **headers: str) -> Asked:
    return Asked(who, method, f"/posts/{post.pk}", more, headers)


def comparable(found: Any) -> Any:
    """Return a body without what differs between two answers to the same request."""
    if isinstance(found, dict):
        return {name: comparable(value) for name, value in found.items() if name not in OWN}
    return found


def headers_of(answer: Written) -> dict[str, str]:
    lines = answer.lines.decode().splitlines()
    return {name.title(): value for name, _, value in (line.partition(": ") for line in lines)}


def require_equal(fast: Written | None, slow: Any) -> None:
    """Fail unless the answer of the group is that of the view."""
    assert fast is not None
    headers = headers_of(fast)
    expected = {name.title(): value for name, value in slow.headers.items()}
    assert len(fast.body) == int(headers.pop("Content-Length"))
    for own in (headers, expected):
        del own["X-Request-Id"]
        if "Etag" in own:
            own["Etag"] = own["Etag"].partition(".")[0]
    body = json.loads(fast.body)
    assert (fast.status, headers) == (slow.status_code, expected)
    assert comparable(body) == comparable(slow.json())
    assert list(body) == list(slow.json())
    assert body["meta"].keys() == slow.json()["meta"].keys()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost:3000"},
        {"Accept": "application/json"},
        {"X-Request-ID": "x"},
    ],
)
def test_answers_of_a_group_are_those_of_the_view(
    alice: Person, bob: Person, headers: dict[str, str]
) -> None:
    """Each request is sent both ways, with the same headers."""
    drafts = [draft_of(alice) for _ in "12"]
    body, receiver = POST | {"status": "published", "tags": ["Sea"]}, {"receiverId": bob.id}
    ahoy = receiver | {"content": "Ahoy"}
    title = {"title": "Night ferry", "content": CONTENT}
    host = {"Host": "localhost"}
    for fast, slow in (
        (create(alice, body, **headers), alice.post("/posts", body, **host, **headers)),
        (
            Asked(alice, "POST", "/messages", ahoy, headers),
            alice.post("/messages", ahoy, **headers),
        ),
        (
            change(alice, drafts[0], title, "PUT", **headers),
            alice.put(f"/posts/{drafts[1].pk}", title, **host, **headers),
        ),
        (
            change(bob, drafts[0], title, **headers),
            bob.patch(f"/posts/{drafts[1].pk}", title, **host, **headers),
        ),
        (
            change(alice, drafts[0], title, **headers, **{"If-Match": '"9.x"'}),
            alice.patch(
                f"/posts/{drafts[1].pk}", title, **host, **headers, **{"If-Match": '"9.x"'}
            ),
        ),
        (
            Asked(alice, "POST", "/messages", ahoy | {"receiverId": alice.id}, headers),
            alice.post("/messages", ahoy | {"receiverId": alice.id}, **headers),
        ),
    ):
        [found] = answers(fast)
        require_equal(found, slow)


def test_a_repeated_client_id_gets_200_in_a_group_as_well(alice: Person, bob: Person) -> None:
    again = send(alice, bob, clientId="phone-1")
    assert statuses(again) == [201]
    assert statuses(again, again) == [200, 200]
    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    "unusual",
    [
        {"body": b"{"},
        {"body": b"[]"},
        {"body": POST | {"title": "ab"}},
        {"body": POST | {"content": "x" * LONGEST_BODY}},
        {"path": "/posts/"},
        {"path": "/posts?x=1"},
        {"path": "/posts\n"},
        {"Origin": "https://" + "x" * 600},
        {"path": "/nothing"},
        {"method": "GET"},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic YTpi"},
        {"Host": "evil.example"},
        {"Content-Type": "text/plain"},
        {"Accept": "text/html"},
        {"Idempotency-Key": "a-key"},
        {"Expect": "100-continue"},
        {"Transfer-Encoding": "chunked"},
        {"Content-Length": "-1"},
        {"path": "/post%73"},
    ],
    ids=str,
)
def test_what_is_unusual_or_wrong_is_left_to_the_view(alice: Person, unusual: Any) -> None:
    given = {"method": "POST", "path": "/posts", "body": POST} | unusual
    method, path, body = (given.pop(name) for name in ("method", "path", "body"))
    assert statuses(Asked(alice, method, path, body, given)) == [None]
    assert not Post.objects.exists()


def test_faults_of_some_requests_cost_the_others_of_their_group_nothing(
    alice: Person, bob: Person, carol: Person, settings: Settings
) -> None:
    """One is not valid, one is of an ended session, and one exceeds the limit of its user."""
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(create_post=2)
    session_logout(carol.user, session=carol.user.sessions.get())
    public = {"status": "published"}
    found = statuses(
        create(alice, public),
        create(bob, {"title": ""}),
        create(carol, public),
        *[create(bob, public) for _ in "123"],
        create(alice, public),
    )
    assert found == [201, None, None, 201, 201, 429, 201]
    assert Post.objects.count() == PostSlug.objects.count() == 4
    assert logged_events() == [("feed", "post_published")] * 4


def test_the_refusal_of_a_limit_says_when_to_try_again(alice: Person, settings: Settings) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(create_post=1)
    _, refused = answers(create(alice), create(alice))
    assert refused is not None
    assert json.loads(refused.body)["code"] == "RATE_LIMIT_EXCEEDED"
    assert int(headers_of(refused)["Retry-After"]) >= 1


def test_posts_of_one_title_in_one_group_get_different_slugs(alice: Person, bob: Person) -> None:
    draft_of(alice)
    assert statuses(*[create(who) for who in (alice, bob) * 4]) == [201] * 8
    slugs = list(Post.objects.values_list("slug", flat=True))
    assert len(set(slugs)) == 9
    assert set(PostSlug.objects.values_list("slug", "post")) == set(
        Post.objects.values_list("slug", "pk")
    )


def test_only_the_post_that_the_database_refuses_fails(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction of the group is undone, and its posts are tried one by one."""

    def refuse(posts: Any) -> None:
        if any(post.title == "Bad luck" for post in posts):
            raise ValueError("refused")
        insert_objects(posts)

    monkeypatch.setattr(services, "insert_objects", refuse)
    public = {"status": "published"}
    found = statuses(create(alice, public), create(bob, {"title": "Bad luck"}), create(bob, public))
    assert found == [201, 500, 201]
    assert Post.objects.count() == PostSlug.objects.count() == 2
    assert logged_events() == [("feed", "post_published")] * 2


def test_a_group_that_may_have_been_committed_is_not_repeated(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process or the database may die after the commit and before the answer."""
    create_all, tried = services.posts_create, []

    def commit_and_lose(new: Any) -> Any:
        tried.append(len(new))
        create_all(new)
        raise OperationalError("the connection is lost")

    monkeypatch.setattr("apps.posts.post_commits.posts_create", commit_and_lose)
    assert statuses(create(alice), create(alice)) == [503, 503]
    assert (tried, Post.objects.count()) == ([2], 2)


def test_changes_of_one_post_in_one_group_are_made_in_their_order(
    alice: Person, bob: Person
) -> None:
    post, other = published_by(alice, "First"), draft_of(bob)
    found = answers(
        change(alice, post, {"title": "Second"}),
        change(bob, post, {"title": "Not mine"}),
        change(alice, other, {"title": "Not visible"}),
        change(alice, post, {"title": "Stale", "version": 1}),
        change(alice, post, {"title": "Third", "version": 2}),
        change(bob, other, {"status": "published"}),
    )
    assert [one.status for one in found if one] == [200, 403, 404, 409, 200, 200]
    titles = [json.loads(found[n].body)["data"]["title"] for n in (0, 4)]  # type: ignore[union-attr]
    assert titles == ["Second", "Third"]
    assert (row(post)["title"], row(post)["slug"], row(post)["version"]) == ("Third", "third", 3)
    assert logged_events() == [("feed", "post_published")] * 2


def test_groups_of_several_processes_at_once_neither_fail_nor_share_a_slug(
    alice: Person, bob: Person
) -> None:
    """They claim the same slugs, change the same posts in opposite orders, and publish."""
    posts = [published_by(alice, f"Harbour {n}") for n in range(6)]
    titles = [f"Ferry {n}" for n in range(6)]

    def group(turn: int) -> list[Any]:
        ordered = list(zip(posts, titles, strict=True))[:: 1 if turn % 2 else -1]
        new = [services.NewPost(bob.user, title, CONTENT, "published") for _, title in ordered]
        changes = [
            services.PostChange(alice.user, post.pk, tags=[f"{turn}"]) for post, _ in ordered
        ]
        return [*services.posts_create(new), *services.posts_update(changes)]

    for outcomes in together(*[lambda turn=turn: group(turn) for turn in range(4)]):
        assert isinstance(outcomes, list), outcomes
        assert all(isinstance(one, Post) for one in outcomes)
    assert Post.objects.count() == PostSlug.objects.count() == 30
    assert {row(post)["version"] for post in posts} == {5}


def test_messages_over_http_are_sent_together(alice: Person, bob: Person, carol: Person) -> None:
    requests = [send(*pair, f"Ahoy {n}") for n in range(3) for pair in ((alice, bob), (bob, carol))]
    nobody = {"receiverId": str(UUID(int=1))}
    found = statuses(*requests, Asked(alice, "POST", "/messages", {"content": "x"} | nobody))
    assert found == [201] * 6 + [404]
    received = [data for kind, data in user_events(bob) if kind == "chat_message"]
    assert [one["message"]["content"] for one in received] == ["Ahoy 0", "Ahoy 1", "Ahoy 2"]


def test_a_server_answers_a_grouped_write_like_any_other(
    server: ServerProcess, alice: Person
) -> None:
    """The longest body goes to the view, which finds it whole."""
    dora = person("Dora")
    headers = {"Authorization": f"Bearer {dora.access}"}
    longest = POST | {"content": "x" * 100_000}
    for body in (POST, longest, POST):
        response = server.call("POST", "/api/v1/posts", json=body, headers=headers)
        assert response.status_code == 201
        assert response.json()["data"]["content"] == body["content"]
    key = headers | {"Idempotency-Key": "a-key"}
    first, second = (server.call("POST", "/api/v1/posts", json=POST, headers=key) for _ in "12")
    assert first.json()["data"] == second.json()["data"]
    server.call("POST", "/api/v1/auth/logout", headers=headers)
    assert server.call("POST", "/api/v1/posts", json=POST, headers=headers).status_code == 401
    assert Post.objects.count() == 4


def head_of(who: Person, length: int) -> bytes:
    lines = [
        "POST /api/v1/posts HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {who.access}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.integration
def test_a_body_may_come_after_its_head_in_parts_but_not_too_late(
    tmp_path: Path, alice: Person
) -> None:
    """The last body ends too late, and is refused as the view refuses it. A client who hangs up
    before the end of a body writes nothing."""
    body = json.dumps(POST).encode()
    head, last = head_of(alice, len(body)), b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n"
    with ServerProcess(tmp_path / "log", {"SERVER_READ_TIMEOUT": "1"}) as server:
        address = ("127.0.0.1", server.port)
        with socket.create_connection(address, timeout=20) as gone:
            gone.sendall(head + body[:10])
        with socket.create_connection(address, timeout=20) as connection:
            for part in (head, body[:10], body[10:] + head + body + last):
                connection.sendall(part)
                until(lambda: server.call("GET", "/health").status_code == 200)
            answered = received(connection)
        with socket.create_connection(address, timeout=20) as late:
            late.sendall(head + body[:10])
            refused = late.recv(65536)
    assert [answered.count(status) for status in (b" 201 Created", b" 200 OK")] == [2, 1]
    assert refused.startswith(b"HTTP/1.1 408 ")
    assert Post.objects.count() == 2
