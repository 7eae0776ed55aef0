"""Lists of posts that are answered from kept bytes."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.core.http.hot_reads import Reader
from apps.posts.hot_reads import POST_LIST
from apps.posts.tests.factories import CONTENT, archived_by, draft_of, published_by
from testing.client import ContractClient
from testing.server import ServerProcess

QUERIES = (
    "",
    "limit=2",
    "page=2&limit=2",
    "page=9&limit=2&page=1",
    "limit=100&status=published",
    "cursor=&limit=2",
    "page=7",
    "authorId={alice}",
    "authorId={alice}&cursor=&colour=blue",
)
# What only the view can answer: refusals, and what not everyone is shown.
OF_THE_VIEW = ("limit=0", "page=x", "cursor=%00", "status=draft", "status=lost", "authorId=alice")


def asked_for(query: str) -> Any:
    """Return the key of a list; None if the view must answer."""
    return POST_LIST.key({}, query)


@pytest.fixture
def posts(alice: Person, bob: Person) -> None:
    for number in range(3):
        published_by(alice, f"Low tide {number}", content=CONTENT * 20)
        published_by(bob, f"Ünder “way” {number}")
    draft_of(alice)
    archived_by(bob)


@pytest.mark.parametrize("query", QUERIES)
def test_the_bytes_are_those_of_the_view(
    posts: None, alice: Person, anonymous: ContractClient, query: str
) -> None:
    query = query.format(alice=alice.id)
    asked = asked_for(query)
    shown = POST_LIST.load([asked])[asked]
    body = b'"data":' + shown.data + b',"pagination":' + shown.pagination + b',"meta":'
    assert body in anonymous.get(f"/api/v1/posts?{query}").content


@pytest.mark.parametrize("query", OF_THE_VIEW)
def test_the_view_answers_what_is_wrong_or_hidden(query: str) -> None:
    assert asked_for(query) is None


def test_the_view_refuses_a_wrong_cursor(posts: None) -> None:
    wrong, right = (asked_for(query) for query in ("cursor=lost", "cursor="))
    assert list(POST_LIST.load([wrong, right])) == [right]


def test_authors_are_shown_their_own_list_by_the_view(alice: Person, bob: Person) -> None:
    own, everyones = (asked_for(query) for query in (f"authorId={alice.id}", ""))
    for reader, shown_own in ((alice.user.pk, False), (bob.user.pk, True), (None, True)):
        assert POST_LIST.same_for(own, Reader(reader, "", "")) == shown_own
        assert POST_LIST.same_for(everyones, Reader(reader, "", ""))


@pytest.mark.integration
def test_readers_see_each_change_at_once(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    """Everything is kept for an hour, so that only tags can bring the change."""
    server = start_server(CACHE_SECONDS="3600")
    own = {"Authorization": f"Bearer {alice.access}"}

    def titles(query: str = "", **options: Any) -> list[tuple[str, str]]:
        path = f"/api/v1/posts?{query}"
        # The second one finds what the first one has left.
        first, second = (server.call("GET", path, **options).json()["data"] for _ in range(2))
        assert first == second
        return [(post["title"], post["author"]["name"]) for post in first]

    def write(method: str, path: str, **data: Any) -> Any:
        answer = server.call(method, f"/api/v1{path}", json=data, headers=own)
        assert answer.status_code < 300, answer.text
        return answer.json().get("data")

    assert titles() == []
    post = write("POST", "/posts", title="Low tide", content=CONTENT, status="published")
    assert titles() == titles(f"authorId={alice.id}") == [("Low tide", "Alice")]
    write("POST", "/posts", title="Night ferry", content=CONTENT)
    assert titles() == titles("cursor=") == [("Low tide", "Alice")]
    both = [("Night ferry", "Alice"), ("Low tide", "Alice")]
    assert titles(f"authorId={alice.id}", headers=own) == both
    write("PATCH", f"/posts/{post['id']}", title="High tide")
    assert titles() == titles("limit=5") == [("High tide", "Alice")]
    write("PATCH", "/auth/profile", name="Alice B.")
    assert titles() == titles("limit=5") == [("High tide", "Alice B.")]
    write("PATCH", f"/posts/{post['id']}", status="archived")
    assert titles() == titles("cursor=") == titles("limit=5") == []
