"""Every operation of jobs keeps to its recorded number of database queries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.jobs.tests import tasks
from testing.queries import within_budget

pytestmark = pytest.mark.django_db

BUDGETS = Path(__file__).with_name("query_budgets.json")
CALLS: dict[str, Callable[[Person, str], Any]] = {
    "jobs_list": lambda alice, job: alice.get("/jobs"),
    "jobs_retrieve": lambda alice, job: alice.get(f"/jobs/{job}"),
    "jobs_cancel": lambda alice, job: alice.post(f"/jobs/{job}/cancel"),
}


@pytest.mark.parametrize("operation", CALLS)
def test_an_operation_sends_as_many_queries_as_are_recorded(alice: Person, operation: str) -> None:
    own = tasks.write_post.with_options(owner_id=alice.user.pk)
    jobs = [own.enqueue(alice.id, "Ahoy").id for _ in range(5)]
    with within_budget(BUDGETS, operation):
        response = CALLS[operation](alice, jobs[0])
    assert response.status_code == 200, response.content
