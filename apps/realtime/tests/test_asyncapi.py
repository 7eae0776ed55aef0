"""asyncapi.yaml describes what the code declares, and what the server sends and receives."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest
import yaml
from django.conf import settings

from apps.accounts.tests.people import Person
from apps.realtime.asyncapi import document
from testing import frames
from testing.client import ContractClient
from testing.frames import check_command, check_server_frame
from testing.server import ServerProcess
from testing.socket import TestSocket

COMMITTED = settings.BASE_DIR / "asyncapi.yaml"
OFFICIAL = settings.BASE_DIR / "testing/asyncapi/schema-3.0.0.json"
ID = "01930e1c-7f6a-7b3e-9c1d-2f5a8b4c6d7e"
TIME = "2026-01-31T12:00:00Z"


def violations(of: Any) -> list[str]:
    validator = jsonschema_rs.Draft7Validator(json.loads(OFFICIAL.read_text()))
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(of)]


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from references(one)


def test_the_committed_document_describes_the_declarations() -> None:
    assert yaml.safe_load(COMMITTED.read_text()) == document(), "Run: make asyncapi"


def test_the_document_is_valid_asyncapi() -> None:
    assert violations(document()) == []
    assert violations({**document(), "asyncapi": "2.0.0"})
    shouting = {"action": "shout", "channel": {"$ref": "#/channels/socket"}}
    assert violations({**document(), "operations": {"send.socket": shouting}})


def test_every_reference_in_the_document_has_a_target() -> None:
    found = set(references(document()))
    assert len(found) > 50
    for reference in found:
        part: Any = document()
        for key in reference.removeprefix("#/").split("/"):
            part = part[key]


@pytest.mark.parametrize("key", document()["components"]["messages"])
def test_an_example_is_valid(key: str) -> None:
    group, _, name = key.partition(".")
    [example] = document()["components"]["messages"][key]["examples"]
    if group == "command":
        check_command(example["payload"])
    else:
        check_server_frame(example["payload"], answers=name if group == "ack" else "")


@pytest.mark.django_db
def test_an_anonymous_user_can_read_the_document(anonymous: ContractClient) -> None:
    response = anonymous.get("/docs/asyncapi.yaml")
    assert response["Content-Type"] == "application/yaml"
    assert b"".join(response.streaming_content) == COMMITTED.read_bytes()  # type: ignore[attr-defined]


def typing(**changes: Any) -> frames.Frame:
    """Return a valid frame of the server, with changes of its data."""
    return {
        "type": "typing",
        "data": {"senderId": ID, "isTyping": True} | changes,
        "timestamp": TIME,
    }


RECEIPT = {"readBy": ID, "messageIds": [ID], "readAt": TIME}
DEVIATIONS = {
    "another type": {**typing(), "type": "dancing"},
    "another kind of data": {**typing(), "data": []},
    "no id": typing(senderId="alice"),
    "a field of another type": typing(isTyping="yes"),
    "an undeclared field": typing(mood="good"),
    "an undeclared member": {**typing(), "seq": 1},
    "no time": {**typing(), "timestamp": "yesterday"},
    "an event without its number": {
        "type": "read_receipt",
        "data": RECEIPT,
        "timestamp": TIME,
        "stream": f"user.{ID}",
    },
    "an event of another stream": {
        "type": "read_receipt",
        "data": RECEIPT,
        "timestamp": TIME,
        "stream": "feed",
        "seq": 1,
    },
}


@pytest.mark.parametrize("wrong", DEVIATIONS.values(), ids=DEVIATIONS)
def test_an_undeclared_frame_of_the_server_is_noticed(wrong: frames.Frame) -> None:
    check_server_frame(typing())
    with pytest.raises(AssertionError, match="The server sends"):
        check_server_frame(wrong)


def test_an_ack_is_validated_by_its_command() -> None:
    ack = {"type": "ack", "data": {"isTyping": True}, "timestamp": TIME, "requestId": "r1"}
    check_server_frame(ack, answers="typing")
    check_server_frame(ack)
    with pytest.raises(AssertionError, match="The server sends"):
        check_server_frame(ack, answers="delivered")


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "dance", "data": {}},
        {"type": "typing"},
        {"type": "typing", "data": {"receiverId": ID}},
        {"type": "typing", "data": {"receiverId": ID, "isTyping": True}, "requestID": "r1"},
        {"type": "delivered", "data": {"messageIds": [ID], "seq": 1}},
    ],
)
def test_an_undeclared_frame_of_a_client_is_noticed(wrong: frames.Frame) -> None:
    with pytest.raises(AssertionError, match="A client sends"):
        check_command(wrong)


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("tamper", ["misspells-pong", "misfills-pong"])
def test_a_server_that_sends_an_undeclared_frame_fails_the_test(
    start_server: Callable[..., ServerProcess], alice: Person, tamper: str
) -> None:
    server = start_server(PARLEY_TAMPER=tamper)
    with TestSocket(server.url, token=alice.access) as alice_socket:
        alice_socket.expect("connected")
        with pytest.raises(AssertionError, match="The server sends"):
            alice_socket.ask("ping")


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_frame_that_a_test_calls_wrong_must_be_wrong(
    server: ServerProcess, alice: Person
) -> None:
    with TestSocket(server.url, token=alice.access) as alice_socket:
        with pytest.raises(AssertionError, match="A client sends"):
            alice_socket.ask("dance")
        with pytest.raises(AssertionError, match="nothing wrong"):
            alice_socket.ask("ping", wrong=True)
        assert alice_socket.ask("dance", wrong=True)["data"]["code"] == "NOT_FOUND"
