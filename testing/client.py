"""The HTTP client of the tests: it validates every response against openapi.yaml."""

from functools import cache
from typing import Any

import jsonschema_rs
from rest_framework.test import APIClient

from testing.api_document import api_document, described_response
from testing.hashing import hashes_here


class ContractClient(APIClient):
    """Calls the API; fails on a response that the schema does not describe, and on a route that
    hashes a password although its endpoint does not declare it."""

    def request(self, **kwargs: Any) -> Any:
        """Return the response, after it was validated."""
        method, path, before = kwargs["REQUEST_METHOD"], kwargs["PATH_INFO"], hashes_here()
        response = super().request(**kwargs)
        if path.startswith("/api/v1/"):
            check_answer(response, method)
        if hashes_here() != before:
            assert _hashes(response, method), (
                f"{method} {path} hashes, and its endpoint does not declare it"
            )
        return response


def check_answer(response: Any, method: str) -> None:
    """Fail unless status, type and body are as openapi.yaml describes them."""
    assert response["X-Request-ID"]
    if response.status_code in {204, 304, 308}:
        assert not response.content
        return
    assert response["Content-Type"] == "application/json", response["Content-Type"]
    body = response.json()
    validator = _validator(_operation(response, method), response.status_code)
    errors = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(body)]
    assert not errors, f"{method} {response.request['PATH_INFO']}: {errors}"


def _operation(response: Any, method: str) -> str:
    """Return the id of the operation, or an empty string if no view was found."""
    view, action = _called(response, method)
    return f"{view.initkwargs['basename']}_{action}" if action else ""


def _hashes(response: Any, method: str) -> bool:
    """Return whether the endpoint, or the page, declares that it hashes a password."""
    view, action = _called(response, method)
    return bool(getattr(getattr(view.cls, action).endpoint if action else view, "hashes", False))


def _called(response: Any, method: str) -> tuple[Any, str]:
    """Return the view and the name of its method, which is empty if no view was found."""
    view = getattr(response.resolver_match, "func", None)
    return view, getattr(view, "actions", {}).get(method.lower(), "")


@cache
def _operations() -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for path in api_document()["paths"].values()
        for operation in path.values()
    }


@cache
def _validator(operation: str, status: int) -> jsonschema_rs.Validator:
    components = api_document()["components"]
    schema = {"$ref": "#/components/schemas/Error"}
    if operation:
        described = described_response(_operations()[operation], status)
        assert described, f"{operation} does not describe {status}"
        if "$ref" in described:
            described = components["responses"][described["$ref"].rpartition("/")[2]]
        schema = described["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator({**schema, "components": components})
