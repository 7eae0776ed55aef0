"""Lists of posts."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.tests.people import Person, person
from apps.core.ids import uuid7
from apps.posts.models import Post
from apps.posts.services import post_delete
from apps.posts.tests.factories import post_of, published_by
from testing.client import ContractClient

pytestmark = pytest.mark.django_db

STATUSES = ["draft", "published", "archived"]


def listed(client: ContractClient, **query: Any) -> Any:
    """Return the body of a list; fail unless its status is 200."""
    response = client.get("/api/v1/posts", query)
    assert response.status_code == 200, response.content
    return response.json()


def ids(body: Any) -> list[UUID]:
    """Return the ids of the items in order."""
    return [UUID(item["id"]) for item in body["data"]]


def several(author: Person, count: int) -> list[UUID]:
    """Publish that many posts and return their ids, the newest first."""
    return [published_by(author, f"Harbour lights {n}").pk for n in range(count)][::-1]


def walk(client: ContractClient, limit: int, before_each_page: Any = lambda: None) -> list[UUID]:
    """Return the ids of a whole list that is read by cursor."""
    found: list[UUID] = []
    cursor: str | None = ""
    while cursor is not None:
        before_each_page()
        body = listed(client, cursor=cursor, limit=limit)
        found += ids(body)
        cursor = body["pagination"]["nextCursor"]
    return found


def test_a_list_with_only_a_limit_is_page_one(alice: Person, anonymous: ContractClient) -> None:
    """The first page has the number 1 even if the query names no page."""
    newest_first = several(alice, 7)
    body = listed(anonymous, limit=5)
    assert body["message"] == "Posts retrieved successfully"
    assert ids(body) == newest_first[:5]
    cursor = body["pagination"].pop("nextCursor")
    assert cursor
    assert body["pagination"] == {
        "total": 7,
        "page": 1,
        "limit": 5,
        "totalPages": 2,
        "hasNext": True,
        "hasPrev": False,
    }


def test_a_list_without_a_limit_has_ten_posts_per_page(
    alice: Person, anonymous: ContractClient
) -> None:
    """A missing limit must not fail the list."""
    newest_first = several(alice, 11)
    body = listed(anonymous)
    assert ids(body) == newest_first[:10]
    assert body["pagination"]["limit"] == 10
    assert body["pagination"]["totalPages"] == 2


def test_an_empty_list_has_no_pages(anonymous: ContractClient) -> None:
    """A total of zero must not fail the list."""
    body = listed(anonymous)
    assert body["data"] == []
    assert body["pagination"]["total"] == body["pagination"]["totalPages"] == 0
    assert not body["pagination"]["hasNext"]


def test_the_second_page_continues_after_the_first(
    alice: Person, anonymous: ContractClient
) -> None:
    newest_first = several(alice, 7)
    body = listed(anonymous, page=2, limit=5)
    assert ids(body) == newest_first[5:]
    assert (body["pagination"]["hasNext"], body["pagination"]["hasPrev"]) == (False, True)


@pytest.mark.parametrize("page", [3, 10**9])
def test_a_page_beyond_the_end_is_empty_and_knows_the_total(
    alice: Person, anonymous: ContractClient, page: int
) -> None:
    """A client that is too far can find the last page by the total."""
    several(alice, 3)
    body = listed(anonymous, page=page, limit=2)
    assert body["data"] == []
    assert (body["pagination"]["total"], body["pagination"]["page"]) == (3, page)
    assert (body["pagination"]["hasNext"], body["pagination"]["hasPrev"]) == (False, True)


def test_posts_of_the_same_time_appear_on_one_page_each(
    alice: Person, anonymous: ContractClient
) -> None:
    """Posts with equal times need a tie-break, or pages would skip and repeat them."""
    newest_first = several(alice, 9)
    Post.objects.update(created_at=timezone.now())
    found = [one for page in range(1, 6) for one in ids(listed(anonymous, page=page, limit=2))]
    assert found == newest_first


def test_a_cursor_neither_skips_nor_repeats_while_posts_are_written(
    alice: Person, anonymous: ContractClient
) -> None:
    """With offsets, each new post would repeat another one on the next page."""
    newest_first = several(alice, 9)
    found = walk(anonymous, 2, before_each_page=lambda: several(alice, 3))
    assert found[-9:] == newest_first
    assert len(found) == len(set(found))


def test_a_cursor_continues_from_the_end_of_a_page(
    alice: Person, anonymous: ContractClient
) -> None:
    newest_first = several(alice, 5)
    cursor = listed(anonymous, page=1, limit=2)["pagination"]["nextCursor"]
    several(alice, 3)
    assert ids(listed(anonymous, cursor=cursor, limit=2)) == newest_first[2:4]


def test_a_previous_cursor_leads_back(alice: Person, anonymous: ContractClient) -> None:
    newest_first = several(alice, 6)
    second = listed(
        anonymous, cursor=listed(anonymous, limit=2)["pagination"]["nextCursor"], limit=2
    )
    back = listed(anonymous, cursor=second["pagination"]["prevCursor"], limit=2)
    assert ids(back) == newest_first[:2]
    assert (back["pagination"]["hasPrev"], back["pagination"]["hasNext"]) == (False, True)


def test_a_list_by_cursor_runs_no_count(alice: Person, anonymous: ContractClient) -> None:
    """A count, or an offset, would make deep pages cost more."""
    several(alice, 3)
    with CaptureQueriesContext(connection) as queries:
        body = listed(anonymous, cursor="", limit=2)
    assert set(body["pagination"]) == {"limit", "nextCursor", "prevCursor", "hasNext", "hasPrev"}
    assert not [query for query in queries.captured_queries if "COUNT(" in query["sql"].upper()]
    assert not [query for query in queries.captured_queries if "OFFSET" in query["sql"].upper()]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", "ten"),
        ("limit", ""),
        ("page", "0"),
        ("page", "-1"),
        ("page", "1.5"),
        ("page", "9" * 30),
        ("status", "secret"),
        ("status", ""),
        ("authorId", "alice"),
        ("authorId", "' OR 1=1 --"),
        ("cursor", "garbage"),
        ("cursor", "WyJuIl0"),
        ("cursor", "WyJuIiwgMTJd"),
    ],
)
def test_an_invalid_value_is_reported(anonymous: ContractClient, name: str, value: str) -> None:
    response = anonymous.get("/api/v1/posts", {name: value})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [name]


def test_all_invalid_values_are_reported_together(anonymous: ContractClient) -> None:
    query: Any = {"limit": 0, "page": 0, "status": "x", "authorId": "y"}
    response = anonymous.get("/api/v1/posts", query)
    assert {error["field"] for error in response.json()["errors"]} == {
        "limit",
        "page",
        "status",
        "authorId",
    }


def test_unknown_parameters_are_ignored(alice: Person, anonymous: ContractClient) -> None:
    newest_first = several(alice, 2)
    assert ids(listed(anonymous, colour="blue", deleted="true")) == newest_first


def test_every_item_has_its_author_without_their_email(
    alice: Person, bob: Person, anonymous: ContractClient
) -> None:
    """Lists are public, and an e-mail address is not."""
    published_by(alice), published_by(bob)
    items = listed(anonymous)["data"]
    assert [item["author"]["name"] for item in items] == ["Bob", "Alice"]
    assert [item["author"]["id"] for item in items] == [item["authorId"] for item in items]
    assert not [item for item in items if "email" in item["author"]]


def test_an_item_has_an_excerpt_instead_of_the_content(
    alice: Person, anonymous: ContractClient
) -> None:
    published_by(alice, "Long", "x" * 201), published_by(alice, "Short", "y" * 200)
    short, long = listed(anonymous)["data"]
    assert "content" not in short
    assert "content" not in long
    assert short["excerpt"] == "y" * 200
    assert long["excerpt"] == "x" * 200 + "…"


def test_the_number_of_queries_does_not_grow_with_the_list(
    alice: Person, anonymous: ContractClient
) -> None:
    """Authors are loaded together with their posts."""

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            listed(anonymous)
        return len(captured)

    published_by(alice)
    with_one = queries()
    for n in range(5):
        published_by(person(f"Author {n}"))
    assert queries() == with_one


def test_a_list_without_a_status_shows_published_posts_only(
    alice: Person, moderator: Person, anonymous: ContractClient
) -> None:
    """Drafts and archived posts are not public."""
    posts = {status: post_of(alice, status).pk for status in STATUSES}
    for client in (alice.client, moderator.client, anonymous):
        assert ids(listed(client)) == [posts["published"]]


def test_an_author_sees_all_of_their_own_posts(alice: Person, bob: Person) -> None:
    own = [post_of(alice, status).pk for status in STATUSES][::-1]
    published_by(bob)
    assert ids(listed(alice.client, authorId=alice.id)) == own


@pytest.mark.parametrize("status", STATUSES)
def test_a_list_of_one_status_shows_only_visible_posts(
    alice: Person, bob: Person, moderator: Person, anonymous: ContractClient, status: str
) -> None:
    """The filter must not reveal drafts of others."""
    of_alice = {one: post_of(alice, one).pk for one in STATUSES}[status]
    of_bob = {one: post_of(bob, one).pk for one in STATUSES}[status]
    both = [of_bob, of_alice]
    public = status == "published"
    assert ids(listed(moderator.client, status=status)) == both
    assert ids(listed(alice.client, status=status)) == (both if public else [of_alice])
    assert ids(listed(anonymous, status=status)) == (both if public else [])


def test_others_see_only_the_published_posts_of_an_author(
    alice: Person, bob: Person, anonymous: ContractClient
) -> None:
    """Drafts and archived posts are not public."""
    posts = {status: post_of(alice, status).pk for status in STATUSES}
    published_by(bob)
    for client in (bob.client, anonymous):
        assert ids(listed(client, authorId=alice.id)) == [posts["published"]]
        assert listed(client, authorId=alice.id, status="draft")["data"] == []


def test_the_total_counts_only_visible_posts(
    alice: Person, bob: Person, anonymous: ContractClient
) -> None:
    """A larger total would reveal that hidden posts exist."""
    for status in STATUSES:
        post_of(alice, status)
    assert listed(anonymous, authorId=alice.id)["pagination"]["total"] == 1
    assert listed(bob.client, authorId=alice.id)["pagination"]["total"] == 1
    assert listed(alice.client, authorId=alice.id)["pagination"]["total"] == 3


def test_an_unknown_author_has_no_posts(alice: Person, anonymous: ContractClient) -> None:
    published_by(alice)
    assert listed(anonymous, authorId=str(uuid7()))["data"] == []


def test_a_deleted_post_is_in_no_list(alice: Person, moderator: Person) -> None:
    post = published_by(alice)
    assert ids(listed(alice.client)) == [post.pk]
    post_delete(alice.user, post_id=post.pk)
    for client in (alice.client, moderator.client):
        body = listed(client)
        assert (body["data"], body["pagination"]["total"]) == ([], 0)
    assert listed(alice.client, authorId=alice.id)["data"] == []
