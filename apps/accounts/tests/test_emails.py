"""All spellings of an address are one account, and look-alike addresses are refused."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from apps.accounts.emails import canonical_email
from apps.accounts.models import User
from apps.accounts.tests.people import PASSWORD, Person
from testing.client import ContractClient

pytestmark = pytest.mark.django_db

# Characters that Python's regular expressions take for an s, an i and a k when they ignore case,
# one that looks like an a, one with an accent, and two that are invisible.
LOOKALIKES = ["\u017fam", "\u0131x", "ma\u212a", "s\u0430m", "s\xe1m", "sam\u200b", "sam\x01"]
lookalikes = pytest.mark.parametrize("local", LOOKALIKES, ids=ascii)


def register(client: ContractClient, email: Any) -> Any:
    body = {"name": "Dora", "email": email, "password": PASSWORD}
    return client.post("/api/v1/auth/register", body)


def log_in(client: ContractClient, email: Any) -> Any:
    body = {"email": email, "password": PASSWORD}
    return client.post("/api/v1/auth/login", body)


def errors_of(response: Any) -> list[tuple[str, str]]:
    return [(error["field"], error["code"]) for error in response.json()["errors"]]


@lookalikes
@pytest.mark.parametrize("ask", [register, log_in])
def test_address_without_printable_ascii_before_the_at_sign_is_refused(
    alice: Person, anonymous: ContractClient, ask: Any, local: str
) -> None:
    response = ask(anonymous, f"{local}@example.com")
    assert response.status_code == 422
    assert errors_of(response) == [("email", "not_ascii")]
    assert list(User.objects.all()) == [alice.user]


@pytest.mark.parametrize(
    "spelling",
    [
        "dora@b\xfccher.example",
        "Dora@B\xdcCHER.Example",
        "dora@bu\u0308cher.example",
        "dora@xn--bcher-kva.example",
        "dora@XN--BCHER-KVA.example",
        " dora@b\xfccher.example ",
    ],
    ids=ascii,
)
def test_domain_is_stored_in_its_ascii_form(anonymous: ContractClient, spelling: str) -> None:
    user = register(anonymous, "dora@b\xfccher.example").json()["data"]["user"]
    assert user["email"] == User.objects.get().email == "dora@xn--bcher-kva.example"
    assert register(anonymous, spelling).status_code == 409
    assert log_in(anonymous, spelling).status_code == 200


@pytest.mark.parametrize(
    "domain",
    ["fa\xdf.example", "\u03ba\u03bb\u03b9\u03c2.example", "exam\xadple.com", "exam\u3002ple.com"],
    ids=ascii,
)
def test_a_domain_that_would_become_another_one_is_refused(
    anonymous: ContractClient, domain: str
) -> None:
    response = register(anonymous, f"dora@{domain}")
    assert response.status_code == 422
    assert errors_of(response) == [("email", "not_ascii")]
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("email", "code"),
    [
        ("\xfc", "invalid"),
        ("@", "invalid"),
        ("@b\xfccher.example", "invalid"),
        ("dora@\xfc..example", "not_ascii"),
        ("dora@" + "\xfc" * 64 + ".example", "not_ascii"),
        ("dora@" + "\xfc" * 300 + ".example", "max_length"),
        # The domain is under the limit as written, and over it in its ASCII form.
        ("dora@" + ".".join(["\xfc" * 40] * 6), "max_length"),
        ("dora@xn--bcher-kva", "invalid"),
    ],
    ids=ascii,
)
def test_malformed_address_is_refused(anonymous: ContractClient, email: str, code: str) -> None:
    response = register(anonymous, email)
    assert response.status_code == 422
    assert ("email", code) in errors_of(response)
    assert not User.objects.exists()


@pytest.mark.parametrize("value", [5, True, [], {}, None])
def test_address_that_is_not_a_string_is_refused(anonymous: ContractClient, value: Any) -> None:
    response = register(anonymous, value)
    assert {field for field, _ in errors_of(response)} == {"email"}


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        (" Ada@Example.COM ", "ada@example.com"),
        ("ada+tag@example.com", "ada+tag@example.com"),
        ("ada@[127.0.0.1]", "ada@[127.0.0.1]"),
        ("ada@localhost", "ada@localhost"),
    ],
)
def test_canonical_address_is_in_lower_case(address: str, canonical: str) -> None:
    assert canonical_email(address) == canonical
    assert canonical_email(canonical) == canonical


@pytest.fixture
def unconstrained(db: Any) -> Iterator[None]:
    """A database that accepts any address, as before the migration."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
            yield
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
        else:
            # The end of the test rolls this back.
            cursor.execute("ALTER TABLE accounts_user DROP CONSTRAINT user_email_in_ascii")
            yield


respell = import_module("apps.accounts.migrations.0003_emails_respelled").respell


@pytest.mark.usefixtures("unconstrained")
def test_migration_rewrites_domains_in_ascii(alice: Person, bob: Person) -> None:
    User.objects.filter(pk=bob.user.pk).update(email="bob@b\xfccher.example")
    respell(apps, None)
    emails = set(User.objects.values_list("email", flat=True))
    assert emails == {"alice@example.com", "bob@xn--bcher-kva.example"}


@pytest.mark.usefixtures("unconstrained")
@pytest.mark.parametrize(
    "email", ["\u017fam@example.com", "alice@\xfc.example", "bob@fa\xdf.example"], ids=ascii
)
def test_migration_names_users_whose_address_has_no_canonical_spelling(
    alice: Person, bob: Person, email: str
) -> None:
    User.objects.filter(pk=alice.user.pk).update(email="alice@xn--tda.example")
    User.objects.filter(pk=bob.user.pk).update(email=email)
    with pytest.raises(ValueError, match=bob.id) as refused:
        respell(apps, None)
    assert alice.id not in str(refused.value)
    assert User.objects.get(pk=bob.user.pk).email == email
