"""Answers from kept bytes: they are those of the view, and nothing is skipped."""

import random
from collections.abc import Callable, Mapping
from contextlib import closing
from http.client import HTTPConnection
from itertools import count
from typing import Any

import orjson
import pytest

from apps.accounts.sessions import session_logout
from apps.accounts.tests.people import Person
from apps.posts.models import Post
from apps.posts.services import post_delete, post_update
from apps.posts.tests.factories import archived_by, draft_of, published_by
from config.hot_reads import hot_routes
from testing.server import ServerProcess, until

# How many requests are generated for each route.
REQUESTS = 150
UNKNOWN = "0190a1b2-0000-7000-8000-000000000000"
# A GET that announces a body, even an empty one, is left to the view.
BY_VIEW = {"Content-Length": "0"}

# Queries of any list.
PAGES = [
    "",
    "?page=2&limit=2",
    "?page=1000",
    "?page=0",
    "?limit=1",
    "?limit=1000",
    "?cursor=",
    "?limit=1&cursor=&page=2",
    "?cursor=nonsense",
    "?page=%31",
    "?page=1&page=2",
    "?x=%ff",
]

Start = Callable[..., ServerProcess]
Asked = tuple[int, dict[str, str], Any]


@pytest.fixture
def hot(start_once: Start) -> ServerProcess:
    """Such a server, which tests share: each has posts and users of its own, and reads no list."""
    return hot_server(start_once, CACHE_SECONDS="5")


def hot_server(start: Start, **environment: str) -> ServerProcess:
    """Start a server that keeps answers, behind a proxy."""
    return start(
        SERVER_TRUSTED_PROXIES="1",
        APP_ALLOWED_HOSTS="127.0.0.1,parley.example",
        CORS_ALLOWED_ORIGINS="https://app.example",
        **environment,
    )


def paths_of_everything(alice: Person, bob: Person) -> Mapping[str, list[str]]:
    """Return paths of posts and users of every kind, by the names of their routes."""
    public, renamed, deleted = (published_by(alice, f"Harbour {n}") for n in range(3))
    former = renamed.slug
    post_update(alice.user, post_id=renamed.pk, title='Lights \N{SHIP} of "the" harbour')
    post_delete(alice.user, post_id=deleted.pk)
    posts = [public, renamed, deleted, archived_by(alice), draft_of(alice), published_by(bob)]
    ids = [str(post.pk) for post in posts]
    slugs = [former, *Post.objects.values_list("slug", flat=True)]
    return {
        "posts-detail": [
            *(f"/api/v1/posts/{one}" for one in (*ids, ids[0].upper(), UNKNOWN, "nonsense")),
            f"/api/v1/posts/{ids[0]}?fields=none",
            f"/api/v1/posts/{ids[0]}/",
            f"/api/v1/posts/{ids[0]}%0A",
            f"/api/v1/posts/{ids[0]}?{'long' * 200}",
            f"/api/v1//posts/{ids[0]}",
            f"/api/v1/p%6Fsts/{ids[0]}",
        ],
        "posts-by-slug": [
            f"/api/v1/posts/slug/{slug}" for slug in (*slugs, "never-used", "Not-A-Slug")
        ],
        "posts-list": [f"/api/v1/posts{query}" for query in (*PAGES, *of_author(alice))],
        "users-list": [f"/api/v1/users{query}" for query in (*PAGES, "?search=b")],
        "users-detail": [f"/api/v1/users/{one}" for one in (alice.id, bob.id, UNKNOWN, "me")],
    }


def of_author(person: Person) -> list[str]:
    """Return queries for the posts of a user."""
    cursor = person.get("/posts", {"limit": 1}).json()["pagination"]["nextCursor"]
    author = f"authorId={person.id}"
    return [
        f"?{author}",
        f"?{author}&status=draft",
        f"?{author}&limit=1&cursor=",
        f"?limit=1&cursor={cursor}",
        f"?limit=2&cursor={cursor[:-2]}",
        "?status=published&limit=3",
        "?status=archived",
        "?authorId=nobody",
    ]


def test_every_hot_route_answers_as_its_view_does(
    start_server: Start, alice: Person, bob: Person, carol: Person, moderator: Person
) -> None:
    hot = hot_server(start_server, CACHE_SECONDS="5")
    paths = paths_of_everything(alice, bob)
    session_logout(carol.user, session=carol.user.sessions.get())
    tokens = [one.access for one in (alice, bob, carol, moderator)] + [bob.refresh, "nonsense"]
    assert set(paths) == {route.name for route in hot_routes()}
    chance = random.Random(7)
    with closing(HTTPConnection("127.0.0.1", hot.port, timeout=20)) as connection:
        for name, some in paths.items():
            etag = asked(connection, "GET", some[0], {"User-Agent": "a bot"})[1].get("etag", '"x"')
            for _ in range(REQUESTS):
                method, path = chance.choice(["GET", "GET", "HEAD"]), chance.choice(some)
                headers = generated(chance, tokens, etag)
                fast = asked(connection, method, path, headers)
                # The parser does not see what repeats the head of an answer from kept bytes.
                again = asked(connection, method, path, headers)
                slow = asked(connection, method, path, headers | BY_VIEW)
                assert fast == again == slow, (name, method, path, headers)


def generated(chance: random.Random, tokens: list[str], etag: str) -> dict[str, str]:
    """Return some headers of a request. Each is absent as often as not."""
    token = chance.choice(tokens)
    values = {
        "Accept": ["*/*", "application/json", "text/html", "text/html,*/*;q=0.8", "a" * 600],
        "Authorization": [f"Bearer {token}", f"bearer  {token}", token, "Basic YTpi", "Bearer "],
        "Host": ["parley.example", "parley.example:8080", "evil.example", "127.0.0.1", ""],
        "If-None-Match": [etag, f"W/{etag}", f'"x", {etag}', '"x"', "*", "nonsense", ""],
        "Origin": ["https://app.example", "https://evil.example", "null"],
        "X-Forwarded-For": ["192.0.2.7", "198.51.100.9, 192.0.2.7", "2001:db8::7", "nonsense"],
        "X-Forwarded-Proto": ["https", "http"],
        "X-Request-ID": ["a-request", "not valid", "x" * 65],
    }
    given = {name: chance.choice(some) for name, some in values.items() if chance.random() < 0.4}
    # Views would change the answer between the two requests.
    return given | {"User-Agent": chance.choice(["a bot", "Spider/1.0 \xe9"])}


def asked(connection: HTTPConnection, method: str, path: str, headers: dict[str, str]) -> Asked:
    """Return the status, the headers and the body of a response, without what differs between two
    responses to the same request."""
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value.encode("latin-1"))
    connection.endheaders()
    response = connection.getresponse()
    raw = response.read()
    found = {name.lower(): value for name, value in response.getheaders()}
    del found["date"]
    length = int(found.pop("content-length", "0"))
    body: Any = orjson.loads(raw) if raw else None
    if method == "GET":
        assert length == len(raw)
    if headers.get("X-Request-ID") != "a-request":
        del found["x-request-id"]
    for name in ("timestamp", "durationMs", "requestId") if body else ():
        del body["meta"][name]
    return response.status, found, body


@pytest.mark.django_db(transaction=True)
def test_kept_answer_is_shown_until_it_expires_if_nothing_says_that_it_changed(
    start_server: Start, alice: Person
) -> None:
    hot = hot_server(start_server, CACHE_SECONDS="1")
    post = published_by(alice, "Title 0")
    titles = (f"Title {number}" for number in count(1))

    def kept_over_a_change() -> bool:
        # The message that the post was published may arrive between two requests.
        before, after = title(hot, post), next(titles)
        Post.objects.filter(pk=post.pk).update(title=after)
        return title(hot, post) == before

    until(kept_over_a_change)
    until(lambda: title(hot, post) == Post.objects.get(pk=post.pk).title)


def title(server: ServerProcess, post: Post) -> str:
    shown: str = server.call("GET", f"/api/v1/posts/{post.pk}").json()["data"]["title"]
    return shown


def test_reader_of_a_kept_answer_counts_as_a_viewer_once(
    hot: ServerProcess, alice: Person, bob: Person
) -> None:
    post = published_by(alice)
    for viewer in (alice, bob, bob):
        # The first request makes the session known, the second is answered from kept bytes.
        for _ in range(2):
            read(hot, post, viewer)
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        hot.call("GET", f"/api/v1/posts/{post.pk}", headers={"X-Forwarded-For": address})
    until(lambda: Post.objects.get(pk=post.pk).view_count == 3)


def read(server: ServerProcess, post: Post, reader: Person) -> int:
    headers = {"Authorization": f"Bearer {reader.access}"}
    return server.call("GET", f"/api/v1/posts/{post.pk}", headers=headers).status_code


def test_kept_answers_are_refused_beyond_the_limit_of_the_address(
    start_server: Start, alice: Person
) -> None:
    limits = {"RATE_LIMIT_REQUESTS_PER_SECOND": "1", "RATE_LIMIT_BURST": "20"}
    server = start_server(CACHE_SECONDS="60", SERVER_TRUSTED_PROXIES="1", **limits)
    post = published_by(alice)
    headers = {"X-Forwarded-For": "192.0.2.77"}
    statuses = [
        server.call("GET", f"/api/v1/posts/{post.pk}", headers=headers).status_code
        for _ in range(30)
    ]
    assert statuses[:20] == [200] * 20
    assert 429 in statuses[20:]


def test_each_kept_answer_logs_one_line(start_server: Start, alice: Person) -> None:
    server = start_server(CACHE_SECONDS="60", LOG_LEVEL="info", LOG_FORMAT="json")
    post = published_by(alice)
    for number in range(5):
        path, headers = f"/api/v1/posts/{post.pk}", {"X-Request-ID": f"read-{number}"}
        server.call("GET", path, headers=headers)

    def lines() -> list[str]:
        found = [
            orjson.loads(line) for line in server.log.read_text().splitlines() if "read-" in line
        ]
        return [f"{line['request_id']} {line['method']} {line['status']}" for line in found]

    until(lambda: lines() == [f"read-{number} GET 200" for number in range(5)])


def test_session_that_ended_gets_no_kept_answer(
    hot: ServerProcess, alice: Person, bob: Person
) -> None:
    post = published_by(alice)
    assert [read(hot, post, bob), read(hot, post, bob)] == [200, 200]
    logout = hot.call(
        "POST", "/api/v1/auth/logout", headers={"Authorization": f"Bearer {bob.access}"}
    )
    assert logout.status_code == 200
    assert read(hot, post, bob) == 401


def test_writer_never_sees_what_was_before_their_change(hot: ServerProcess, alice: Person) -> None:
    post = published_by(alice, "Title 0")
    headers = {"Authorization": f"Bearer {alice.access}"}
    for number in range(1, 20):
        path, body = f"/api/v1/posts/{post.pk}", {"title": f"Title {number}"}
        assert hot.call("PATCH", path, json=body, headers=headers).status_code == 200
        assert title(hot, post) == f"Title {number}"
    hot.call("PATCH", "/api/v1/auth/profile", json={"name": "Alicia"}, headers=headers)
    author = hot.call("GET", path).json()["data"]["author"]
    assert author["name"] == "Alicia"
