"""Every operation of mail keeps to its recorded number of database queries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.models import User
from apps.accounts.tests.people import PASSWORD, Person
from apps.core.ids import uuid7
from apps.mail.links import link_issue, state_of
from apps.mail.tests.links import send
from testing.client import ContractClient
from testing.queries import within_budget

pytestmark = pytest.mark.django_db

BUDGETS = Path(__file__).with_name("query_budgets.json")
ALICE, NEW = "alice@example.com", "ada@example.org"


def token(user: User, purpose: str) -> str:
    state = state_of(user, purpose)
    return link_issue(uuid7(), user=user, purpose=purpose, email=user.email, state=state)


CALLS: dict[str, Callable[[Person, str], Any]] = {
    "auth_email_verify": lambda alice, token: send(ContractClient(), "email/verify", token=token),
    "auth_email_verify_resend": lambda alice, _: send(
        ContractClient(), "email/verify/resend", email=ALICE
    ),
    "auth_email_change": lambda alice, _: alice.post(
        "/auth/email/change", {"newEmail": NEW, "currentPassword": PASSWORD}
    ),
    "auth_email_change_confirm": lambda alice, token: send(
        ContractClient(), "email/change/confirm", token=token
    ),
    "auth_email_change_undo": lambda alice, token: send(
        ContractClient(), "email/change/undo", token=token
    ),
    "auth_password_reset": lambda alice, _: send(ContractClient(), "password/reset", email=ALICE),
    "auth_password_reset_confirm": lambda alice, token: send(
        ContractClient(), "password/reset/confirm", token=token, newPassword="wrong donkey 8"
    ),
}
PURPOSES = {
    "auth_email_verify": "verify",
    "auth_email_change_confirm": "change",
    "auth_email_change_undo": "undo",
    "auth_password_reset_confirm": "reset",
}


@pytest.mark.parametrize("operation", CALLS)
def test_an_operation_sends_as_many_queries_as_are_recorded(alice: Person, operation: str) -> None:
    given = token(alice.user, PURPOSES.get(operation, "verify"))
    with within_budget(BUDGETS, operation):
        response = CALLS[operation](alice, given)
    assert response.status_code == 200, response.content
