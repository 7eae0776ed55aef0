"""POST /auth/register."""

from typing import Any

import pytest

from apps.accounts.models import Session, User
from apps.accounts.tests.people import PASSWORD, Person
from apps.core.tests.together import together
from testing.client import ContractClient

pytestmark = pytest.mark.django_db

DORA = {"name": "Dora", "email": "dora@example.com", "password": PASSWORD}


def register(client: ContractClient, **changes: Any) -> Any:
    return client.post("/api/v1/auth/register", DORA | changes)


def fields_of(response: Any) -> list[str]:
    return [error["field"] for error in response.json()["errors"]]


def test_registration_creates_an_account_and_logs_in(anonymous: ContractClient) -> None:
    response = register(anonymous)
    assert response.status_code == 201
    body = response.json()
    assert body["message"] == "Registration successful"
    assert set(body["data"]) == {"user", "accessToken", "refreshToken", "expiresIn"}
    assert body["data"]["expiresIn"] == 900
    token = body["data"]["accessToken"]
    profile = anonymous.get("/api/v1/auth/profile", headers={"Authorization": f"Bearer {token}"})
    assert profile.json()["data"] == body["data"]["user"]


def test_new_user_is_active_and_has_no_rights(anonymous: ContractClient) -> None:
    user = register(anonymous, role="admin", status="banned", emailVerified=True).json()["data"][
        "user"
    ]
    assert user.pop("id")
    assert user.pop("createdAt").endswith("Z")
    assert user.pop("updatedAt").endswith("Z")
    assert user == {
        "name": "Dora",
        "email": "dora@example.com",
        "emailVerified": False,
        "role": "user",
        "status": "active",
        "bio": "",
        "avatarUrl": "",
    }


def test_the_password_is_neither_returned_nor_stored(anonymous: ContractClient) -> None:
    assert PASSWORD not in register(anonymous).content.decode()
    stored = User.objects.get(email="dora@example.com")
    assert PASSWORD not in stored.password
    assert stored.check_password(PASSWORD)


@pytest.mark.parametrize("email", ["alice@example.com", "ALICE@Example.COM", " Alice@example.com "])
def test_address_of_alice_is_taken_in_any_case(
    alice: Person, anonymous: ContractClient, email: str
) -> None:
    """A duplicate address is a conflict, not a wrong field."""
    response = register(anonymous, email=email)
    assert response.status_code == 409
    assert response.json()["code"] == "CONFLICT"
    assert list(User.objects.all()) == [alice.user]
    assert Session.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_only_one_of_several_concurrent_registrations_of_an_address_succeeds() -> None:
    statuses = together(*[lambda: register(ContractClient()).status_code] * 4)
    assert sorted(statuses, key=str) == [201, 409, 409, 409]
    assert User.objects.count() == Session.objects.count() == 1


def test_response_names_every_wrong_field_at_once(anonymous: ContractClient) -> None:
    """The client can show each message next to its field."""
    response = register(anonymous, name="D", email="not an address", password="short")
    assert response.status_code == 422
    assert response.json()["code"] == "VALIDATION_ERROR"
    assert response.json()["errors"] == [
        {
            "field": "name",
            "message": "Ensure this field has at least 2 characters.",
            "code": "min_length",
        },
        {"field": "email", "message": "Enter a valid email address.", "code": "invalid"},
        {
            "field": "password",
            "message": "Ensure this field has at least 8 characters.",
            "code": "min_length",
        },
    ]
    assert not User.objects.exists()


@pytest.mark.parametrize("value", [None, 5, 5.0, True, [], {}, ["Dora"], "", "   ", "a\0b" * 9])
@pytest.mark.parametrize("field", ["name", "email", "password"])
def test_field_accepts_only_text(anonymous: ContractClient, field: str, value: Any) -> None:
    """White space alone is not a text either."""
    response = register(anonymous, **{field: value})
    assert response.status_code == 422
    assert set(fields_of(response)) == {field}
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 256),
        ("email", "x" * 250 + "@example.com"),
        ("password", "x1" * 65),
    ],
)
def test_field_has_a_maximum_length(anonymous: ContractClient, field: str, value: str) -> None:
    response = register(anonymous, **{field: value})
    assert response.status_code == 422
    assert response.json()["errors"][0]["code"] == "max_length"
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short 1", "min_length"),
        ("password1", "password_too_common"),
        ("83649563847", "password_entirely_numeric"),
        ("dora@example", "password_too_similar"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(
    anonymous: ContractClient, password: str, code: str
) -> None:
    response = register(anonymous, password=password)
    assert response.status_code == 422
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [("password", code)]
    assert not User.objects.exists()


def test_response_names_every_weakness_of_a_password(anonymous: ContractClient) -> None:
    errors = register(anonymous, password="123456789").json()["errors"]
    assert {e["code"] for e in errors} == {"password_too_common", "password_entirely_numeric"}


def test_white_space_around_a_name_is_dropped_and_around_a_password_is_kept(
    anonymous: ContractClient,
) -> None:
    register(anonymous, name="  Dora ", password=f" {PASSWORD} ")
    dora = User.objects.get()
    assert dora.name == "Dora"
    assert dora.check_password(f" {PASSWORD} ")
