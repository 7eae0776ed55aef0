"""Every operation of notifications keeps to its recorded number of database queries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.notifications.tests.push_service import Browser
from apps.notifications.tests.test_notify import tell
from testing.queries import within_budget

pytestmark = pytest.mark.django_db

BUDGETS = Path(__file__).with_name("query_budgets.json")
PREFERENCES = "/notifications/preferences"
PUSH = "/notifications/push-subscriptions"
CALLS: dict[str, Callable[[Person, str], Any]] = {
    "notifications_list": lambda alice, told: alice.get("/notifications"),
    "notifications_unread": lambda alice, told: alice.get("/notifications/unread"),
    "notifications_read": lambda alice, told: alice.post("/notifications/read", {"all": True}),
    "notifications_deliveries": lambda alice, told: alice.get(f"/notifications/{told}/deliveries"),
    "notifications_push_key": lambda alice, told: alice.get("/notifications/push-key"),
    "notifications_push_subscriptions": lambda alice, told: alice.get(PUSH),
    "notifications_push_subscription_add": lambda alice, told: alice.post(
        PUSH, Browser("laptop").subscription
    ),
    "notifications_push_subscription_remove": lambda alice, told: alice.delete(PUSH),
    "notifications_preferences": lambda alice, told: alice.get(PREFERENCES),
    "notifications_preferences_update": lambda alice, told: alice.put(
        PREFERENCES, {"digest": "daily"}
    ),
}


@pytest.mark.parametrize("operation", CALLS)
def test_an_operation_sends_as_many_queries_as_are_recorded(
    operation: str, alice: Person, bob: Person
) -> None:
    for number in range(5):
        [told] = tell([alice], actor=bob.user, key=str(number))
    with within_budget(BUDGETS, operation):
        response = CALLS[operation](alice, str(told.pk))
    assert response.status_code in {200, 201}, response.content
