"""Recorded query budgets: how many statements each operation of the API sends to the database.

A list that asks once more for each of its rows, or a read that begins to write, shows at once; so
does what was saved. `RECORD_QUERY_BUDGETS=1 pytest config/tests/test_query_budgets.py` writes the
numbers of today into the file, whose change is then to be looked at like any other.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection
from django.test.utils import CaptureQueriesContext

BUDGETS = Path(__file__).with_name("query_budgets.json")
RECORD = "RECORD_QUERY_BUDGETS"

# Where a transaction begins and ends is no work, and looks different inside that of a test.
_MARKS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


def budgets() -> dict[str, int]:
    """Return the recorded number of statements of each operation."""
    recorded: dict[str, int] = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
    return recorded


@contextmanager
def statements() -> Iterator[list[str]]:
    """Give a list that holds, after the block, the statements that it sent."""
    sent: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield sent
    sent += [query["sql"] for query in captured if not query["sql"].startswith(_MARKS)]


@contextmanager
def within_budget(operation: str) -> Iterator[None]:
    """Fail unless the block sends exactly as many statements as are recorded for the operation."""
    with statements() as sent:
        yield
    if os.environ.get(RECORD):
        recorded = budgets() | {operation: len(sent)}
        BUDGETS.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")
    allowed = budgets().get(operation)
    listing = "".join(f"\n  {number}. {one}" for number, one in enumerate(sent, 1))
    assert len(sent) == allowed, f"{operation} is to send {allowed} statements, it sent:{listing}"
