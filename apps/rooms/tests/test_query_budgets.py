"""Every operation of rooms keeps to its recorded number of database queries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.posts.tests.factories import published_by
from testing.queries import within_budget

pytestmark = pytest.mark.django_db

BUDGETS = Path(__file__).with_name("query_budgets.json")
CALLS: dict[str, Callable[[Person, str], Any]] = {
    "rooms_presence": lambda alice, path: alice.get(path),
    "rooms_join": lambda alice, path: alice.post(path),
    "rooms_leave": lambda alice, path: alice.delete(path),
}


@pytest.mark.parametrize("operation", CALLS)
def test_an_operation_sends_as_many_queries_as_are_recorded(
    operation: str, alice: Person, bob: Person, carol: Person
) -> None:
    path = f"/rooms/post.{published_by(bob).pk}/presence"
    for one in (bob, carol):
        one.post(path)
    with within_budget(BUDGETS, operation):
        response = CALLS[operation](alice, path)
    assert response.status_code == 200, response.content
