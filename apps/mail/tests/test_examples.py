"""The examples of mail in openapi.yaml are what the server answers."""

from pathlib import Path

import pytest

import apps.mail
from apps.accounts.tests.people import PASSWORD, Person
from apps.mail.tests.links import send
from apps.mail.tests.mailbox import Mailbox
from testing.client import ContractClient
from testing.examples import examples_of

pytestmark = pytest.mark.django_db

EXAMPLES = Path(apps.mail.__file__).with_name("examples.json")
OLD, NEW = "alice@example.com", "ada@example.org"


def test_alice_sees_what_the_examples_of_mail_show(
    alice: Person, mailbox: Mailbox, anonymous: ContractClient
) -> None:
    with examples_of(EXAMPLES) as example:
        example(send(anonymous, "email/verify/resend", email=OLD))
        example(send(anonymous, "email/verify", token=mailbox.token(OLD)))
        change = {"newEmail": NEW, "currentPassword": PASSWORD}
        example(alice.post("/auth/email/change", change))
        example(send(anonymous, "email/change/confirm", token=mailbox.token(NEW)))
        example(send(anonymous, "email/change/undo", token=mailbox.token(OLD)))
        example(send(anonymous, "password/reset", email=OLD))
        reset = {"token": mailbox.token(OLD), "newPassword": "another horse 7"}
        example(send(anonymous, "password/reset/confirm", **reset))
