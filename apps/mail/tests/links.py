"""What tests do with links."""

from typing import Any
from uuid import uuid4

from apps.accounts.tests.people import elsewhere
from testing.client import ContractClient

AUTH = "/api/v1/auth"


def send(client: ContractClient, path: str, **body: str) -> Any:
    """Return the response to a POST below /auth."""
    return client.post(f"{AUTH}/{path}", body)


def unknown_client() -> tuple[ContractClient, str]:
    """Return a client in a network, and an address, that no other test uses, since Redis keeps its
    counts."""
    return ContractClient(REMOTE_ADDR=elsewhere()), f"{uuid4().hex}@example.com"


def refused(response: Any) -> bool:
    """Return whether the link was refused."""
    codes = [error["code"] for error in response.json().get("errors", ())]
    return response.status_code == 422 and codes == ["invalid_token"]
