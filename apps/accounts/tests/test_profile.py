"""/auth/profile."""

from typing import Any

import pytest

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from testing.client import ContractClient

OWN = {
    "id",
    "name",
    "email",
    "emailVerified",
    "role",
    "status",
    "bio",
    "avatarUrl",
    "createdAt",
    "updatedAt",
}


def test_profile_shows_alice_all_of_its_fields(alice: Person) -> None:
    response = alice.get("/auth/profile")
    assert response.status_code == 200
    assert response.json()["message"] == "Profile retrieved"
    profile = response.json()["data"]
    assert set(profile) == OWN
    assert (profile["id"], profile["email"]) == (alice.id, "alice@example.com")


def test_anonymous_user_has_no_profile(anonymous: ContractClient) -> None:
    response = anonymous.get("/api/v1/auth/profile")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["put", "patch"])
def test_put_and_patch_change_only_the_given_fields(alice: Person, method: str) -> None:
    """An update must not write the fields that the request leaves out."""
    response = getattr(alice, method)("/auth/profile", {"bio": "Writes."})
    assert response.status_code == 200
    assert response.json()["message"] == "Profile updated"
    assert response.json()["data"]["bio"] == "Writes."
    user = User.objects.get()
    assert (user.name, user.bio, user.version) == ("Alice", "Writes.", 2)
    assert response["ETag"] == alice.get("/auth/profile")["ETag"]


def test_alice_can_clear_her_bio(alice: Person) -> None:
    alice.patch("/auth/profile", {"bio": "Writes."})
    assert alice.patch("/auth/profile", {"bio": ""}).json()["data"]["bio"] == ""


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("body", [{}, {"unknown": 1}, {"email": "new@example.com"}])
def test_update_without_a_known_field_is_refused(
    alice: Person, method: str, body: dict[str, Any]
) -> None:
    """A request that changes nothing is a mistake of the client."""
    before = User.objects.values().get()
    response = getattr(alice, method)("/auth/profile", body)
    assert response.status_code == 400
    assert response.json()["code"] == "BAD_REQUEST"
    assert User.objects.values().get() == before


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"name": "A", "bio": "x" * 1001}, ["name", "bio"]),
        ({"name": None}, ["name"]),
        ({"name": "  "}, ["name"]),
        ({"name": "A\0lice"}, ["name"]),
        ({"bio": 5}, ["bio"]),
        ({"name": "Alicia", "bio": []}, ["bio"]),
    ],
)
def test_wrong_fields_change_nothing(
    alice: Person, body: dict[str, Any], fields: list[str]
) -> None:
    before = User.objects.values().get()
    response = alice.patch("/auth/profile", body)
    assert response.status_code == 422
    assert [e["field"] for e in response.json()["errors"]] == fields
    assert User.objects.values().get() == before


def test_alice_cannot_change_her_role_or_status(alice: Person) -> None:
    body = {"bio": "x", "role": "admin", "status": "banned", "emailVerified": True, "id": "1"}
    assert alice.patch("/auth/profile", body).status_code == 200
    user = User.objects.get()
    assert (user.role, user.status, user.email_verified) == ("user", "active", False)


def test_unchanged_profile_is_not_sent_again(alice: Person) -> None:
    etag = alice.get("/auth/profile")["ETag"]
    response = alice.get("/auth/profile", **{"If-None-Match": etag})
    assert response.status_code == 304
    assert response["ETag"] == etag


def test_changed_profile_is_sent_again(alice: Person) -> None:
    etag = alice.get("/auth/profile")["ETag"]
    alice.patch("/auth/profile", {"bio": "Writes."})
    response = alice.get("/auth/profile", **{"If-None-Match": etag})
    assert response.status_code == 200
    assert response.json()["data"]["bio"] == "Writes."
    assert response["ETag"] != etag


def test_update_with_the_current_etag_succeeds(alice: Person) -> None:
    etag = alice.get("/auth/profile")["ETag"]
    assert alice.patch("/auth/profile", {"bio": "x"}, **{"If-Match": etag}).status_code == 200


@pytest.mark.parametrize("method", ["put", "patch"])
def test_update_with_a_former_etag_is_refused(alice: Person, method: str) -> None:
    """An update must not overwrite a change that the client has not seen."""
    etag = alice.get("/auth/profile")["ETag"]
    alice.patch("/auth/profile", {"bio": "first"})
    response = getattr(alice, method)("/auth/profile", {"bio": "second"}, **{"If-Match": etag})
    assert response.status_code == 412
    assert response.json()["code"] == "PRECONDITION_FAILED"
    assert alice.get("/auth/profile").json()["data"]["bio"] == "first"
