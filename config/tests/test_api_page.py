"""docs/api.md names every operation, and its numbers are those of the code."""

import re
from typing import Any

from django.conf import settings

from apps.accounts.tickets import TICKET_SECONDS
from apps.core.http.idempotency import KEPT_FOR
from config.tests.pages import DOCS, section
from testing.api_document import api_document

PAGE = (DOCS / "api.md").read_text()


def described() -> list[str]:
    """Return the operations that the tables of the page name, in their order."""
    rows = re.findall(r"^\| (`[A-Z]+ /.*?) \|", PAGE, re.MULTILINE)
    return [operation for row in rows for operation in re.findall(r"`([A-Z]+ /[^`]+)`", row)]


def operations() -> dict[str, Any]:
    """Return the operations of openapi.yaml by method and path."""
    return {
        f"{method.upper()} {path.removeprefix('/api/v1')}": operation
        for path, methods in api_document()["paths"].items()
        for method, operation in methods.items()
    }


def test_every_operation_is_described_once() -> None:
    assert sorted(described()) == sorted(operations())


def test_the_page_is_right_about_who_may_call() -> None:
    rows, declared = re.findall(r"^\| (`[A-Z]+ /.*?) \| (.*?) \|", PAGE, re.MULTILINE), operations()
    for names, who in rows:
        for name in re.findall(r"`([^`]+)`", names):
            security = declared[name]["security"]
            assert (not security or {} in security) == (who == "anybody"), name


def test_the_numbers_are_right() -> None:
    once, limits = section("api.md", "Doing something once"), section("api.md", "Limits")
    assert f"at\nleast {KEPT_FOR.total_seconds() / 3600:.0f} hours" in once
    assert f"A body may have {settings.BODY_LIMIT // 2**20} MiB" in limits
    assert f"within {TICKET_SECONDS} seconds" in section("api.md", "Accounts")
