"""A prepared list shows what the plain one does, however it is paged."""

import itertools
from typing import Any

import pytest
from django.db import connection
from django.db.models import UUIDField
from django.test.utils import CaptureQueriesContext

from apps.accounts.tests.people import Person
from apps.core.errors import Invalid
from apps.core.http import pagination
from apps.core.http.pagination import Listing, Paging, paginate
from apps.core.http.prepared_lists import PreparedList
from apps.posts import selectors
from apps.posts.tests.factories import archived_by, published_by

pytestmark = pytest.mark.django_db


def listing(**values: Any) -> Listing[Any]:
    posts = selectors.posts_visible(None, **values)
    return Listing(posts, columns=selectors.post_item_columns)


@pytest.mark.parametrize("own", [False, True], ids=["all", "of an author"])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_each_page_is_that_of_the_plain_list(
    alice: Person, bob: Person, own: bool, limit: int
) -> None:
    for author, number in itertools.product([alice, bob], range(4)):
        published_by(author, f"Post {number}")
    archived_by(alice)
    values = {"author_id": alice.user.pk} if own else {}
    prepared = PreparedList(listing, author_id=UUIDField())
    asked = [Paging(number, limit, None) for number in (1, 2, 9)] + [Paging(1, limit, "")]
    seen: set[Paging] = set()
    while asked:
        paging = asked.pop()
        seen.add(paging)
        plain = listing(**values)
        expected = paginate(plain.rows, paging.as_query(), columns=plain.columns)
        found = prepared.page(paging, **values)
        assert found.pagination == expected.pagination
        assert [tuple(row) for row in found.rows] == [tuple(row) for row in expected.rows]
        cursors = [found.pagination.get(name) for name in ("nextCursor", "prevCursor")]
        further = {Paging(1, limit, cursor) for cursor in cursors if cursor}
        asked += further - seen
    assert len(seen) >= 4


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_each_page_of_a_long_list_has_the_rows_that_an_offset_finds(
    alice: Person, monkeypatch: pytest.MonkeyPatch, settings: Any, limit: int
) -> None:
    settings.CACHE_SECONDS = 600
    monkeypatch.setattr(pagination, "FEW", 5)
    monkeypatch.setattr(pagination, "POSITIONS", 4)
    for number in range(20):
        published_by(alice, f"Post {number}")
    rows = list(selectors.posts_visible(None).values_list("id", flat=True))
    prepared = PreparedList(listing, author_id=UUIDField())
    for number in range(1, 20 // limit + 3):
        page = prepared.page(Paging(number, limit, None))
        assert [row.id for row in page.rows] == rows[(number - 1) * limit : number * limit]
        assert page.pagination["total"] == 20


def test_a_deep_page_is_one_statement_that_skips_few_rows(
    alice: Person, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.CACHE_SECONDS = 600
    monkeypatch.setattr(pagination, "FEW", 5)
    monkeypatch.setattr(pagination, "POSITIONS", 4)
    for number in range(20):
        published_by(alice, f"Post {number}")
    prepared = PreparedList(listing, author_id=UUIDField())
    prepared.page(Paging(15, 1, None))
    with CaptureQueriesContext(connection) as captured:
        prepared.page(Paging(16, 1, None))
    assert len(captured) == 1
    assert "COUNT" not in captured[0]["sql"]


def test_wrong_cursor_is_refused(alice: Person) -> None:
    prepared = PreparedList(listing, author_id=UUIDField())
    with pytest.raises(Invalid):
        prepared.page(Paging(1, 10, "nonsense"))


def test_list_without_rows_is_empty(db: Any) -> None:
    page = PreparedList(listing).page(Paging(1, 10, None))
    assert (page.rows, page.pagination["total"]) == ([], 0)
