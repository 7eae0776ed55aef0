"""static/parley/realtime.js is served to browsers, and names only what the server knows.

Its behaviour is tested in test_browser_client.py; `make check-clients` checks its types."""

import re

import pytest
from django.conf import settings

from apps.core.errors import DomainError
from apps.realtime import closing
from apps.realtime.asyncapi import document
from apps.realtime.frame_types import frame_types
from apps.realtime.registry import commands
from apps.realtime.server_frames import server_frames
from testing.client import ContractClient

FOLDER = settings.BASE_DIR / "static" / "parley"
MODULE = (FOLDER / "realtime.js").read_text()
PATH = "/static/parley/realtime.js"


def codes(kind: type[DomainError] = DomainError) -> set[str]:
    return {kind.code}.union(*map(codes, kind.__subclasses__()))


def test_the_committed_types_are_those_of_the_declarations() -> None:
    assert (FOLDER / "frames.d.ts").read_text() == frame_types(document()), "Run: make asyncapi"


def test_every_frame_that_the_module_handles_is_one_of_the_server() -> None:
    handled = set(re.findall(r'case "(\w+)":', MODULE))
    assert {"connected", "heartbeat", "subscribed", "reset"} <= handled
    assert handled <= set(server_frames)


def test_every_command_that_the_module_sends_is_one_of_the_server() -> None:
    sent = set(re.findall(r'(?:\bask\(|type: )"(\w+)"', MODULE)) - {"ack"}
    assert sent == {"chat_message", "ping", "subscribe", "unsubscribe"}
    assert sent <= set(commands)


def test_the_module_reads_close_codes_as_the_server_means_them() -> None:
    numbers = dict(re.findall(r"(\w+)(?:: | = )(\d{4})\b", MODULE))
    assert int(numbers["unauthorized"]) == closing.UNAUTHORIZED
    assert "restarts" in closing.CODES[int(numbers["restarting"])]
    assert closing.TOO_MANY_FRAMES < int(numbers["FINAL"]) < closing.SESSION_REVOKED
    assert int(numbers["BROKEN"]) not in closing.CODES


def test_the_module_knows_refusals_by_the_codes_of_the_server() -> None:
    [listed] = re.findall(r"TRANSIENT = \[(.*?)\]", MODULE, re.DOTALL)
    transient = set(re.findall(r'"(\w+)"', listed))
    assert {"SERVICE_UNAVAILABLE", "RATE_LIMIT_EXCEEDED"} < transient < codes()
    # Codes of its own must not look like those of the server.
    own = set(re.findall(r'new RealtimeError\("(\w+)"', MODULE)) - {"UNAUTHORIZED"}
    assert own == {"NOT_CONNECTED", "CLOSED", "TOO_MANY_PENDING", "TOO_BIG"}
    assert not own & codes()


@pytest.mark.django_db
def test_pages_of_any_origin_may_import_the_module(anonymous: ContractClient) -> None:
    response = anonymous.get(PATH, headers={"Origin": "https://app.example.com"})
    assert response.status_code == 200
    assert b"".join(response) == MODULE.encode()
    assert response["Content-Type"] == 'text/javascript; charset="utf-8"'
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.django_db
def test_a_browser_keeps_the_module_for_a_minute_and_then_asks_again(
    anonymous: ContractClient,
) -> None:
    response = anonymous.get(PATH)
    assert response["Cache-Control"] == "max-age=60, public"
    again = anonymous.get(PATH, headers={"If-None-Match": response["ETag"]})
    assert again.status_code == 304
