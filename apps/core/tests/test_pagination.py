"""Lists by page and by cursor."""

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db.models import QuerySet
from django.utils import timezone

from apps.accounts.models import Session, User
from apps.accounts.tests.people import Person
from apps.core.errors import Invalid
from apps.core.http.pagination import paginate
from testing.client import ContractClient

NOW = timezone.now()


def add_session(user: User, minutes: int) -> Session:
    """Add a session; sessions with the same minutes are ordered by their ids alone."""
    return Session.objects.create(
        user=user,
        refresh_jti="x",
        last_used_at=NOW + timedelta(minutes=minutes),
        expires_at=NOW + timedelta(days=1),
    )


@pytest.fixture
def sessions(alice: Person) -> QuerySet[Session]:
    """Ten sessions, the last used first; several were used at the same time."""
    Session.objects.all().delete()
    for minutes in (5, 1, 3, 3, 3, 1, 4, 3, 5, 2):
        add_session(alice.user, minutes)
    return Session.objects.order_by("-last_used_at", "-id")


def walk(
    queryset: QuerySet[Session], limit: int, key: str = "nextCursor"
) -> Iterator[list[Session]]:
    """Yield page by page, beginning with the first."""
    cursor: str | None = ""
    while cursor is not None:
        found = paginate(queryset, {"cursor": cursor, "limit": limit})
        yield found.rows
        cursor = found.pagination[key]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 9, 10, 11])
@pytest.mark.parametrize("order", [("-last_used_at", "-id"), ("last_used_at", "id"), ("id",)])
def test_a_walk_by_cursor_returns_every_row_once_and_in_order(
    sessions: QuerySet[Session], limit: int, order: tuple[str, ...]
) -> None:
    """Rows with equal times need a tie-break, or pages would skip and repeat them."""
    ordered = sessions.order_by(*order)
    pages = list(walk(ordered, limit))
    assert [row for page in pages for row in page] == list(ordered)
    assert all(len(page) == limit for page in pages[:-1])


def test_rows_added_and_deleted_during_a_walk_do_not_skip_or_repeat_others(
    sessions: QuerySet[Session], alice: Person
) -> None:
    """With offsets, each inserted row would repeat another one."""
    before = list(sessions)
    found = []
    for number, page in enumerate(walk(sessions, 3)):
        found += page
        page[0].delete()
        add_session(alice.user, 10 + number)
    assert [row.created_at for row in found] == [row.created_at for row in before]


@pytest.mark.parametrize("limit", [1, 3, 4, 5])
def test_previous_cursors_lead_over_the_same_pages(sessions: QuerySet[Session], limit: int) -> None:
    forward, back = [], []
    cursor: str | None = ""
    while cursor is not None:
        found = paginate(sessions, {"cursor": cursor, "limit": limit})
        forward.append(found.rows)
        cursor = found.pagination["nextCursor"]
    cursor = found.pagination["prevCursor"]
    while cursor is not None:
        found = paginate(sessions, {"cursor": cursor, "limit": limit})
        back.append(found.rows)
        cursor = found.pagination["prevCursor"]
    assert back[::-1] == forward[:-1]


def test_previous_cursors_lead_to_rows_added_in_front(
    sessions: QuerySet[Session], alice: Person
) -> None:
    first = paginate(sessions, {"cursor": "", "limit": 5})
    second = paginate(sessions, {"cursor": first.pagination["nextCursor"], "limit": 5})
    added = add_session(alice.user, 10)
    back = paginate(sessions, {"cursor": second.pagination["prevCursor"], "limit": 10})
    assert back.rows == [added, *first.rows]
    assert not back.pagination["hasPrev"]


def test_the_ends_of_a_list_are_reported(sessions: QuerySet[Session]) -> None:
    first = paginate(sessions, {"cursor": "", "limit": 5}).pagination
    assert (first["hasPrev"], first["prevCursor"], first["hasNext"]) == (False, None, True)
    last = paginate(sessions, {"cursor": first["nextCursor"], "limit": 5}).pagination
    assert (last["hasNext"], last["nextCursor"], last["hasPrev"]) == (False, None, True)


def test_an_empty_list_has_no_cursors(alice: Person) -> None:
    nothing = Session.objects.none().order_by("-id")
    found = paginate(nothing, {"cursor": ""})
    assert found.rows == []
    assert found.pagination == {
        "limit": 10,
        "nextCursor": None,
        "prevCursor": None,
        "hasNext": False,
        "hasPrev": False,
    }
    assert paginate(nothing, {}).pagination["totalPages"] == 0


def test_a_page_reports_its_position_and_the_total(sessions: QuerySet[Session]) -> None:
    found = paginate(sessions, {"page": 2, "limit": 4})
    assert found.rows == list(sessions)[4:8]
    pagination = found.pagination
    assert pagination.pop("nextCursor")
    assert pagination == {
        "total": 10,
        "page": 2,
        "limit": 4,
        "totalPages": 3,
        "hasNext": True,
        "hasPrev": True,
    }


def test_the_cursor_of_a_page_continues_from_its_end(sessions: QuerySet[Session]) -> None:
    page = paginate(sessions, {"page": 1, "limit": 4})
    found = paginate(sessions, {"cursor": page.pagination["nextCursor"], "limit": 10})
    assert found.rows == list(sessions)[4:]


@pytest.mark.parametrize("page", [3, 4, 10**9])
def test_the_last_page_and_pages_beyond_it_have_no_next(
    sessions: QuerySet[Session], page: int
) -> None:
    found = paginate(sessions, {"page": page, "limit": 4})
    assert len(found.rows) == (2 if page == 3 else 0)
    assert found.pagination["nextCursor"] is None
    assert not found.pagination["hasNext"]


def test_a_cursor_costs_one_query_and_counts_nothing(
    sessions: QuerySet[Session], django_assert_num_queries: Callable[[int], Any]
) -> None:
    """Deep pages must not cost more than the first one."""
    cursor = paginate(sessions, {"cursor": "", "limit": 4}).pagination["nextCursor"]
    with django_assert_num_queries(1) as queries:
        paginate(sessions, {"cursor": cursor, "limit": 4})
    assert "OFFSET" not in queries.captured_queries[0]["sql"]


@pytest.mark.parametrize("query", [{}, {"page": 1}, {"cursor": ""}])
@pytest.mark.parametrize("order", [(), ("-last_used_at", "id"), ("last_used_at", "-id")])
def test_a_list_without_an_ordering_in_one_direction_is_an_error(
    sessions: QuerySet[Session], order: tuple[str, ...], query: dict[str, Any]
) -> None:
    """Pages would skip and repeat rows. It fails even for few rows, so the first test shows it."""
    with pytest.raises(ValueError, match="ordering"):
        paginate(sessions.order_by(*order), query)


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")


WHEN = "2026-01-01T00:00:00+00:00"
ID = "0192f0c0-0000-7000-8000-000000000000"
BAD_CURSORS = {
    "garbage": "garbage",
    "not base64": "%%%",
    "beyond ASCII": "é",
    "not JSON": base64.urlsafe_b64encode(b"\xff").decode(),
    "an object": encoded({"n": 1}),
    "a number": encoded(5),
    "a string": encoded("np"),
    "null": encoded(None),
    "an empty list": encoded([]),
    "no values": encoded(["n"]),
    "too many values": encoded(["n", WHEN, ID, ID]),
    "no direction": encoded([WHEN, ID, ID]),
    "a list for a direction": encoded([[], WHEN, ID]),
    "a number for an id": encoded(["n", WHEN, 5]),
    "null for an id": encoded(["n", WHEN, None]),
    "a list for an id": encoded(["n", WHEN, []]),
    "an invalid id": encoded(["n", WHEN, "x"]),
    "an invalid time": encoded(["n", "yesterday", ID]),
    "a number for a time": encoded(["n", 5, ID]),
    "a time without zone": encoded(["n", "2026-01-01T00:00:00", ID]),
    "a time before the first one in UTC": encoded(["n", "0001-01-01T00:00:00+14:00", ID]),
    "a time after the last one in UTC": encoded(["n", "9999-12-31T23:59:59-14:00", ID]),
}


@pytest.mark.parametrize("cursor", BAD_CURSORS.values(), ids=BAD_CURSORS)
def test_a_forged_cursor_is_refused(sessions: QuerySet[Session], cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        paginate(sessions, {"cursor": cursor})
    assert [error.field for error in refused.value.errors] == ["cursor"]


def test_a_cursor_of_another_list_is_refused(sessions: QuerySet[Session]) -> None:
    other = paginate(sessions.order_by("id"), {"cursor": "", "limit": 1}).pagination["nextCursor"]
    with pytest.raises(Invalid):
        paginate(sessions, {"cursor": other})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("0", "-1", "101", "x", "1.5", "", "1e2", "9" * 2000)),
        *(("page", value) for value in ("0", "-1", "x", "", str(10**9 + 1), "\0")),
        *(("cursor", value) for value in ("x" * 501, "\0", BAD_CURSORS["a number for an id"])),
    ],
)
def test_a_wrong_query_is_422_and_names_its_field(
    anonymous: ContractClient, db: Any, name: str, value: str
) -> None:
    """An invalid limit must not crash the list."""
    response = anonymous.get("/api/v1/users", {name: value})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [name]


@pytest.mark.parametrize("limit", ["1", "100"])
def test_the_limit_may_equal_its_bounds(anonymous: ContractClient, db: Any, limit: str) -> None:
    response = anonymous.get("/api/v1/users", {"limit": limit})
    assert response.json()["pagination"]["limit"] == int(limit)


def test_a_list_needs_no_parameters(alice: Person, anonymous: ContractClient) -> None:
    """Without parameters a list shows its first page, with ten rows."""
    pagination = anonymous.get("/api/v1/users").json()["pagination"]
    assert (pagination["page"], pagination["limit"], pagination["total"]) == (1, 10, 1)


def test_unknown_parameters_are_ignored(alice: Person, anonymous: ContractClient) -> None:
    plain = anonymous.get("/api/v1/users").json()
    odd = anonymous.get("/api/v1/users", {"order": "x", "offset": "-1", "limit[]": "0"}).json()
    assert odd["data"] == plain["data"]
    assert odd["pagination"] == plain["pagination"]
