"""The examples of accounts in openapi.yaml are what the server answers."""

from pathlib import Path

import pytest

import apps.accounts
from apps.accounts.tests.people import PASSWORD, person
from testing.client import ContractClient
from testing.examples import examples_of

pytestmark = pytest.mark.django_db

EXAMPLES = Path(apps.accounts.__file__).with_name("examples.json")
AUTH = "/api/v1/auth"


def test_alice_sees_what_the_examples_of_accounts_show(anonymous: ContractClient) -> None:
    with examples_of(EXAMPLES) as example:
        newcomer = {"name": "Alice", "email": "alice@example.com", "password": PASSWORD}
        example(anonymous.post(f"{AUTH}/register", newcomer))
        login = {"email": "alice@example.com", "password": PASSWORD}
        tokens = example(anonymous.post(f"{AUTH}/login", login))["data"]
        refresh = {"refreshToken": tokens["refreshToken"]}
        tokens = example(anonymous.post(f"{AUTH}/refresh", refresh))["data"]
        alice = ContractClient(headers={"Authorization": f"Bearer {tokens['accessToken']}"})

        example(alice.get(f"{AUTH}/profile"))
        example(alice.put(f"{AUTH}/profile", {"name": "Alice Bell", "bio": "By the sea."}))
        example(alice.patch(f"{AUTH}/profile", {"bio": "Lighthouses and night ferries."}))
        example(alice.post(f"{AUTH}/ws-ticket"))
        sessions = example(alice.get(f"{AUTH}/sessions"))["data"]
        other = next(one["id"] for one in sessions if not one["current"])
        example(alice.delete(f"{AUTH}/sessions/{other}"))

        bob = person("Bob")
        example(anonymous.get("/api/v1/users", {"search": "Bob"}))
        example(anonymous.get(f"/api/v1/users/{bob.id}"))
        carol = person("Carol")
        example(alice.post(f"/api/v1/users/{bob.id}/follow"))
        example(alice.get(f"/api/v1/users/{bob.id}/followers"))
        me = alice.get(f"{AUTH}/profile").json()["data"]["id"]
        example(alice.get(f"/api/v1/users/{me}/following"))
        example(alice.delete(f"/api/v1/users/{bob.id}/follow"))
        example(alice.post(f"/api/v1/users/{carol.id}/block"))
        example(alice.get("/api/v1/users/blocked"))
        example(alice.delete(f"/api/v1/users/{carol.id}/block"))

        change = {"currentPassword": PASSWORD, "newPassword": "another horse 7"}
        example(alice.post(f"{AUTH}/password/change", change))
        example(alice.post(f"{AUTH}/logout"))
