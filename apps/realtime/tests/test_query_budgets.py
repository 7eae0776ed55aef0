"""The event log over HTTP keeps to its recorded number of database queries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.realtime.streams import USER
from apps.realtime.tests.factories import log_messages, log_posts
from testing.queries import within_budget

pytestmark = pytest.mark.django_db

BUDGETS = Path(__file__).with_name("query_budgets.json")

CALLS: dict[str, Callable[[Person], Any]] = {
    "events_list": lambda reader: reader.get(
        "/events", {"stream": f"{USER.name(reader.user.pk)},feed", "after": "1,0"}
    ),
}


@pytest.mark.parametrize("operation", CALLS)
def test_an_operation_sends_as_many_queries_as_are_recorded(bob: Person, operation: str) -> None:
    log_messages(bob.user.pk, 3)
    log_posts(2)
    with within_budget(BUDGETS, operation):
        response = CALLS[operation](bob)
    assert response.status_code == 200, response.content
