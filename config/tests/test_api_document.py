"""openapi.yaml says each thing once, and sums up and shows every operation."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from django.conf import settings

from apps.core.errors import EVERYWHERE
from apps.core.features import enums
from config.tests.pages import DOCS
from testing.api_document import api_document
from testing.client import ContractClient
from testing.server import ServerProcess

DOCUMENT = api_document()
OPERATIONS = {
    operation["operationId"]: operation
    for path in DOCUMENT["paths"].values()
    for operation in path.values()
}


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of the document that is not within an example."""
    if isinstance(node, list):
        for child in node:
            yield from nodes(child)
    elif isinstance(node, dict):
        yield node
        for name, child in node.items():
            if name != "example":
                yield from nodes(child)


def check(schema: dict[str, Any], value: Any) -> None:
    """Fail unless the value is as the schema of the document says."""
    jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(
        value
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_a_summary_and_examples_that_fit_it(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["summary"]
    successes = [one for status, one in operation["responses"].items() if status in {"200", "201"}]
    contents = [one["content"]["application/json"] for one in successes]
    if "requestBody" in operation:
        contents.append(operation["requestBody"]["content"]["application/json"])
    for content in contents:
        check(content["schema"], content["example"])
    for parameter in operation.get("parameters", ()):
        assert "example" in parameter or not parameter.get("required")
        if "example" in parameter:
            check(parameter["schema"], parameter["example"])


def test_the_choices_of_a_field_are_listed_once() -> None:
    listed = [set(node["enum"]) for node in nodes(DOCUMENT) if "enum" in node]
    for name, choices in enums().items():
        assert listed.count(set(choices.values)) <= 1, name
    assert not [name for name in DOCUMENT["components"]["schemas"] if name.endswith("Enum")]


def test_an_error_has_one_of_the_codes_that_are_explained() -> None:
    explained = re.findall(r"^\| `([A-Z_]+)` \|", (DOCS / "errors.md").read_text(), re.MULTILINE)
    assert DOCUMENT["components"]["schemas"]["ErrorCode"]["enum"] == sorted(explained)


def test_what_every_operation_can_refuse_is_said_once() -> None:
    for kind in EVERYWHERE:
        assert f"- {kind.status} `{kind.code}`: " in DOCUMENT["info"]["description"]
    for operation in OPERATIONS.values():
        assert not {"405", "406", "413", "415", "500"} & operation["responses"].keys()


@pytest.mark.parametrize("document", ["openapi.yaml", "asyncapi.yaml"])
def test_no_name_is_a_word_of_the_code(document: str) -> None:
    text = (settings.BASE_DIR / document).read_text()
    assert not re.search(r"\b\w*(?:Shape|Answer|Patched\w*):", text)


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_the_state_of_the_server_is_as_described(server: ServerProcess) -> None:
    for name, status in (("health", 200), ("ready", 200)):
        response = server.call("GET", f"/{name}")
        assert response.status_code == status
        content = OPERATIONS[name]["responses"][str(status)]["content"]["application/json"]
        check(content["schema"], response.json())


def test_the_page_is_short_keeps_the_token_and_has_an_icon(anonymous: ContractClient) -> None:
    page = anonymous.get("/docs/index.html").content.decode()
    assert '"docExpansion": "none"' in page
    assert '"persistAuthorization": true' in page
    [icon] = re.findall(r'<link rel="icon" href="([^"]+)">', page)
    assert anonymous.get(icon)["Content-Type"] == "image/svg+xml"
