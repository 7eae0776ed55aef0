"""X-Request-ID: the client's own if it is valid, else a new one."""

from uuid import UUID

import pytest

from testing.client import ContractClient


@pytest.mark.parametrize("given", ["a", "Az09._-", "x" * 64])
def test_a_valid_request_id_of_the_client_is_kept(anonymous: ContractClient, given: str) -> None:
    response = anonymous.get("/api/v1/nothing", headers={"X-Request-ID": given})
    assert response["X-Request-ID"] == given == response.json()["meta"]["requestId"]


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a/b", "a,b", "é", "<script>", "a\n"])
def test_an_invalid_request_id_is_replaced(anonymous: ContractClient, given: str) -> None:
    response = anonymous.get("/api/v1/nothing", headers={"X-Request-ID": given})
    assert UUID(response["X-Request-ID"]).version == 7
    assert response.json()["meta"]["requestId"] == response["X-Request-ID"]


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing", "/api/v1/x/"])
def test_every_answer_has_its_own_request_id(
    anonymous: ContractClient, db: None, path: str
) -> None:
    first, second = (anonymous.get(path)["X-Request-ID"] for _ in "12")
    assert first != second
