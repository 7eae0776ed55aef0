"""The HTTP client of the tests: it validates every response against openapi.yaml."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
import yaml
from django.conf import settings
from rest_framework.test import APIClient

from apps.core.http.schema_parts import EVERYWHERE
from testing.hashing import hashes_here

_EVERYWHERE = {kind.status for kind in EVERYWHERE}


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
    """Return whether the endpoint declares that it hashes a password."""
    view, action = _called(response, method)
    return bool(action and getattr(view.cls, action).endpoint.hashes)


def _called(response: Any, method: str) -> tuple[Any, str]:
    """Return the view and the name of its method, which is empty if no view was found."""
    view = getattr(response.resolver_match, "func", None)
    return view, getattr(view, "actions", {}).get(method.lower(), "")


def described_response(operation: Mapping[str, Any], status: int) -> dict[str, Any] | None:
    """Return what an operation of openapi.yaml says about a status: its own response, or the common
    one, which is for the refusals only that every operation can give; None for any other status."""
    responses: Mapping[str, dict[str, Any]] = operation["responses"]
    if str(status) in responses or status not in _EVERYWHERE:
        return responses.get(str(status))
    return responses.get("default")


@cache
def _schema() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((settings.BASE_DIR / "openapi.yaml").read_text())
    return loaded


@cache
def _operations() -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for path in _schema()["paths"].values()
        for operation in path.values()
    }


def operation_called(label: str) -> dict[str, Any]:
    """Return the operation of a method and a path as openapi.yaml writes it: GET /api/v1/posts."""
    method, path = label.split()
    operation: dict[str, Any] = _schema()["paths"][path][method.lower()]
    return operation


@cache
def _validator(operation: str, status: int) -> jsonschema_rs.Validator:
    schema = {"$ref": "#/components/schemas/Error"}
    if operation:
        described = described_response(_operations()[operation], status)
        assert described, f"{operation} does not describe {status}"
        if "$ref" in described:
            described = _schema()["components"]["responses"][described["$ref"].rpartition("/")[2]]
        schema = described["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator({**schema, "components": _schema()["components"]})
