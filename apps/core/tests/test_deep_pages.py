"""Pages far into a list: what is remembered of it, and what a page then shows."""

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Session
from apps.accounts.tests.people import Person
from apps.core.http import pagination
from apps.core.http.pagination import forget_lists, paginate
from apps.core.tests.test_pagination import add_session

ROWS = 60


@pytest.fixture(autouse=True)
def _short_lists_are_long(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remember lists of more than 10 rows, with at most 8 positions each."""
    monkeypatch.setattr(pagination, "FEW", 10)
    monkeypatch.setattr(pagination, "POSITIONS", 8)
    forget_lists()
    yield
    forget_lists()


@pytest.fixture
def sessions(alice: Person, settings: Any) -> QuerySet[Session]:
    """Sessions of which many were used at the same time."""
    settings.CACHE_SECONDS = 600
    Session.objects.all().delete()
    for number in range(ROWS):
        add_session(alice.user, number % 7)
    return Session.objects.order_by("-last_used_at", "-id")


def page_of(sessions: QuerySet[Session], page: int, limit: int) -> list[Session]:
    """Return the rows of a page."""
    return paginate(sessions, {"page": page, "limit": limit}).rows


@pytest.mark.parametrize("limit", [1, 3, 7, 10])
@pytest.mark.parametrize("order", [("-last_used_at", "-id"), ("last_used_at", "id"), ("-id",)])
def test_every_page_has_the_rows_that_an_offset_finds(
    sessions: QuerySet[Session], limit: int, order: tuple[str, ...]
) -> None:
    rows = list(sessions.order_by(*order))
    pages = [page_of(sessions.order_by(*order), n, limit) for n in range(1, ROWS // limit + 3)]
    assert pages == [rows[(n - 1) * limit : n * limit] for n in range(1, ROWS // limit + 3)]


def test_a_deep_page_skips_few_rows_and_counts_nothing(sessions: QuerySet[Session]) -> None:
    """An offset reads all rows before it."""
    page_of(sessions, 50, 1)
    with CaptureQueriesContext(connection) as captured:
        assert page_of(sessions, 51, 1) == [sessions[50]]
    statement = captured[0]["sql"]
    assert len(captured) == 2
    assert "COUNT" not in statement
    assert int(re.findall(r"OFFSET (\d+)", statement)[0]) < 8


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("seconds", [0, 600])
def test_a_page_is_off_by_no_more_rows_than_came_and_went(
    sessions: QuerySet[Session], alice: Person, settings: Any, seed: int, seconds: int
) -> None:
    """Rows that a position was made of may be gone. Where nothing is remembered, each page is what
    an offset finds."""
    settings.CACHE_SECONDS = seconds
    chance = random.Random(seed)
    for page in chance.choices(range(1, 12), k=12):
        page_of(sessions, page, 5)
    for changes, page in enumerate(chance.choices(range(1, 12), k=30), 1):
        if chance.random() < 0.5:
            add_session(alice.user, chance.randrange(8))
        else:
            chance.choice(list(sessions.all())).delete()
        rows, found = list(sessions.all()), page_of(sessions, page, 5)
        start = (page - 1) * 5
        if seconds == 0:
            assert found == rows[start : start + 5]
        elif found:
            first = rows.index(found[0])
            assert found == rows[first : first + 5]
            assert abs(first - start) <= changes


def test_the_total_of_a_short_list_is_counted_for_each_page(
    sessions: QuerySet[Session], alice: Person
) -> None:
    short = sessions.filter(last_used_at=sessions[0].last_used_at)
    before = paginate(short, {}).pagination["total"]
    short[0].delete()
    assert paginate(short, {}).pagination["total"] == before - 1


def test_the_total_of_a_long_list_may_be_some_seconds_old(
    sessions: QuerySet[Session], alice: Person
) -> None:
    """Its rows are not."""
    paginate(sessions, {})
    added = add_session(alice.user, 100)
    found = paginate(sessions, {})
    assert (found.pagination["total"], found.rows[0]) == (ROWS, added)
    forget_lists()
    assert paginate(sessions, {}).pagination["total"] == ROWS + 1


def test_a_page_says_since_when_changes_may_be_missing(sessions: QuerySet[Session]) -> None:
    """An answer is kept no longer than its oldest part may be."""
    first = paginate(sessions, {"page": 9, "limit": 5})
    again = paginate(sessions, {"page": 9, "limit": 5})
    assert again.as_of == first.as_of < paginate(sessions, {"cursor": ""}).as_of


def test_lists_with_other_filters_have_totals_of_their_own(
    sessions: QuerySet[Session], alice: Person, bob: Person
) -> None:
    """They differ in a value alone."""
    for _ in range(11):
        add_session(bob.user, 1)
    for user in (alice.user, bob.user):
        own = Session.objects.filter(user=user).order_by("-id")
        assert paginate(own, {}).pagination["total"] == own.count() > 10
