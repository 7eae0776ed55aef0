"""Every operation of the API has a query budget, which its feature keeps in its own folder."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from apps.accounts.tests.people import Person
from apps.core.features import features
from config.api import router
from testing import queries
from testing.queries import budgets, statements, within_budget

WITH_ROUTES = [label for label, feature in features().items() if feature.routes]


def operations(routes: Mapping[str, Any]) -> set[str]:
    """Return the id of every operation below the prefixes, as openapi.yaml names it."""
    views: list[Any] = [url.callback for url in router.urls]
    return {
        f"{view.initkwargs['basename']}_{action}"
        for view in views
        for action in view.actions.values()
        if view.cls in set(routes.values())
    }


@pytest.mark.parametrize("label", WITH_ROUTES)
def test_every_operation_has_a_budget_and_a_call_that_keeps_to_it(label: str) -> None:
    its_tests = import_module(f"{apps.get_app_config(label).name}.tests.test_query_budgets")
    routes = features()[label].routes
    assert operations(routes) == set(its_tests.CALLS) == set(budgets(its_tests.BUDGETS))


@pytest.mark.django_db
def test_one_query_more_or_less_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(queries.RECORD, raising=False)
    recorded = tmp_path / "query_budgets.json"
    recorded.write_text('{"things_list": 2}')

    def ask(times: int) -> None:
        with within_budget(recorded, "things_list"), connection.cursor() as cursor:
            for _ in range(times):
                cursor.execute("SELECT 1")

    ask(2)
    for times in (1, 3):
        with pytest.raises(AssertionError, match="things_list is to send 2 statements"):
            ask(times)


@pytest.mark.django_db
def test_the_marks_of_transactions_are_not_counted(alice: Person) -> None:
    with statements() as sent:
        alice.patch("/auth/profile", {"name": "Alice B."})
    assert sent
    assert not [one for one in sent if one.startswith(("SAVEPOINT", "RELEASE"))]
