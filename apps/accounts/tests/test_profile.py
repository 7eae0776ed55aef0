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


def test_the_profile_is_all_that_its_owner_may_see(alice: Person) -> None:
    response = alice.get("/auth/profile")
    assert response.status_code == 200
    assert response.json()["message"] == "Profile retrieved"
    profile = response.json()["data"]
    assert set(profile) == OWN
    assert (profile["id"], profile["email"]) == (alice.id, "alice@example.com")


def test_nobody_has_no_profile(anonymous: ContractClient) -> None:
    response = anonymous.get("/api/v1/auth/profile")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["put", "patch"])
def test_either_method_changes_what_is_given(alice: Person, method: str) -> None:
    """Original defect 10: an update wrote the whole row."""
    response = getattr(alice, method)("/auth/profile", {"bio": "Writes."})
    assert response.status_code == 200
    assert response.json()["message"] == "Profile updated"
    assert response.json()["data"]["bio"] == "Writes."
    user = User.objects.get()
    assert (user.name, user.bio, user.version) == ("Alice", "Writes.", 2)
    assert response["ETag"] == alice.get("/auth/profile")["ETag"]


def test_a_biography_can_be_taken_back(alice: Person) -> None:
    alice.patch("/auth/profile", {"bio": "Writes."})
    assert alice.patch("/auth/profile", {"bio": ""}).json()["data"]["bio"] == ""


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("body", [{}, {"unknown": 1}, {"email": "new@example.com"}])
def test_nothing_to_change_is_refused(alice: Person, method: str, body: dict[str, Any]) -> None:
    """Original defect 15: an empty PUT "succeeded"."""
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


def test_what_one_is_cannot_be_changed_here(alice: Person) -> None:
    body = {"bio": "x", "role": "admin", "status": "banned", "emailVerified": True, "id": "1"}
    assert alice.patch("/auth/profile", body).status_code == 200
    user = User.objects.get()
    assert (user.role, user.status, user.email_verified) == ("user", "active", False)


def test_who_has_the_profile_already_is_told_so(alice: Person) -> None:
    etag = alice.get("/auth/profile")["ETag"]
    response = alice.get("/auth/profile", **{"If-None-Match": etag})
    assert response.status_code == 304
    assert response["ETag"] == etag


def test_who_has_a_former_profile_gets_the_new_one(alice: Person) -> None:
    etag = alice.get("/auth/profile")["ETag"]
    alice.patch("/auth/profile", {"bio": "Writes."})
    response = alice.get("/auth/profile", **{"If-None-Match": etag})
    assert response.status_code == 200
    assert response.json()["data"]["bio"] == "Writes."
    assert response["ETag"] != etag


def test_a_change_of_what_was_read_is_made(alice: Person) -> None:
    etag = alice.get("/auth/profile")["ETag"]
    assert alice.patch("/auth/profile", {"bio": "x"}, **{"If-Match": etag}).status_code == 200


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_change_of_a_former_profile_is_refused(alice: Person, method: str) -> None:
    """Original defect 10: an update overwrote what another one had written meanwhile."""
    etag = alice.get("/auth/profile")["ETag"]
    alice.patch("/auth/profile", {"bio": "first"})
    response = getattr(alice, method)("/auth/profile", {"bio": "second"}, **{"If-Match": etag})
    assert response.status_code == 412
    assert response.json()["code"] == "PRECONDITION_FAILED"
    assert alice.get("/auth/profile").json()["data"]["bio"] == "first"
