"""Validating the frames of the websocket, in both directions, against asyncapi.yaml."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema_rs
import yaml
from django.conf import settings

Frame = dict[str, Any]

# A test of other frames than those of this project puts their document here.
DOCUMENT: Path = settings.BASE_DIR / "asyncapi.yaml"


def check_command(frame: Frame) -> None:
    """Fail unless the frame is one that a client may send."""
    wrong = wrong_in_command(frame)
    assert not wrong, f"A client sends {frame}: {wrong}"


def wrong_in_command(frame: Frame) -> list[str]:
    """Return what is wrong with a frame of a client."""
    return _wrong_in(frame, [f"command.{frame['type']}"])


def check_server_frame(frame: Frame, answers: str = "") -> None:
    """Fail unless the server may send the frame: as the answer to a command, if one is given."""
    kind = frame["type"]
    keys = [f"{group}.{kind}" for group in ("event", "signal", "frame")]
    if kind == "ack":
        keys = [f"ack.{answers}"] if answers else [key for key in _messages() if "ack." in key]
    wrong = _wrong_in(frame, keys)
    assert not wrong, f"The server sends {frame}: {wrong}"


def _wrong_in(frame: Frame, keys: list[str]) -> list[str]:
    """Return what is wrong with a frame, compared with the last of the messages that it may be;
    nothing if it is one of them."""
    wrong = ["asyncapi.yaml has no such frame"]
    for key in set(keys) & set(_messages()):
        errors = _validator(DOCUMENT, key).iter_errors(frame)
        wrong = [f"{error.instance_path}: {error.message}" for error in errors]
        if not wrong:
            return []
    return wrong


def _messages() -> Mapping[str, Any]:
    messages: Mapping[str, Any] = _components(DOCUMENT)["messages"]
    return messages


@cache
def _components(document: Path) -> Mapping[str, Any]:
    components: Mapping[str, Any] = yaml.safe_load(document.read_text())["components"]
    return components


@cache
def _validator(document: Path, key: str) -> jsonschema_rs.Validator:
    components = _components(document)
    schema = {**components["messages"][key]["payload"], "components": components}
    # Draft 7 does not know the format `uuid` yet.
    return jsonschema_rs.Draft7Validator(
        _closed(schema), validate_formats=True, formats={"uuid": _is_uuid}
    )


def _closed(schema: Any) -> Any:
    """Return the schema with no other fields in each object than it names. The document allows
    additions, which clients must ignore; but a field that is not declared is a mistake."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(one) for name, one in schema.items()}
    if "properties" in closed and "type" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
