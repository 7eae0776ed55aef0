"""Recorded query budgets: how many statements each operation of the API sends to the database.

A list that sends one more statement for each of its rows, or a read that begins to write, fails its
test; so does an operation that sends fewer, until its budget is lowered. Each feature has its
budgets in `tests/query_budgets.json` and its calls in `tests/test_query_budgets.py`.
`RECORD_QUERY_BUDGETS=1 pytest -k query_budgets` writes the present numbers into the files; review
that change like any other.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection
from django.test.utils import CaptureQueriesContext

RECORD = "RECORD_QUERY_BUDGETS"

# The statements that begin and end transactions differ inside the transaction of a test.
_MARKS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


def budgets(recorded: Path) -> dict[str, int]:
    """Return the number of statements of each operation that a file records."""
    found: dict[str, int] = json.loads(recorded.read_text()) if recorded.exists() else {}
    return found


@contextmanager
def statements() -> Iterator[list[str]]:
    """Yield a list that holds, after the block, the statements that the block sent."""
    sent: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield sent
    sent += [query["sql"] for query in captured if not query["sql"].startswith(_MARKS)]


@contextmanager
def within_budget(recorded: Path, operation: str) -> Iterator[None]:
    """Fail unless the block sends exactly as many statements as the file records for the
    operation."""
    with statements() as sent:
        yield
    if os.environ.get(RECORD):
        now = budgets(recorded) | {operation: len(sent)}
        recorded.write_text(json.dumps(now, indent=2, sort_keys=True) + "\n")
    allowed = budgets(recorded).get(operation)
    listing = "".join(f"\n  {number}. {one}" for number, one in enumerate(sent, 1))
    assert len(sent) == allowed, f"{operation} is to send {allowed} statements, it sent:{listing}"
