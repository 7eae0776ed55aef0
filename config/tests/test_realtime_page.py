"""The page about the websocket shows what is declared, and loads nothing from elsewhere."""

import re
from html import unescape

import pytest

from apps.realtime.asyncapi import document
from apps.realtime.closing import CODES
from apps.realtime.registry import commands
from apps.realtime.server_frames import server_frames
from apps.realtime.streams import stream_types
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(anonymous: ContractClient) -> str:
    answer = anonymous.get("/docs/realtime")
    assert answer.status_code == 200
    return str(answer.content.decode())


def sections(page: str) -> dict[str, str]:
    """Return the text of each message's section by the message's key."""
    found = re.findall(r'<section id="([^"]+)">(.*?)</section>', page, re.DOTALL)
    return {key: unescape(re.sub(r"<[^>]+>", " ", text)) for key, text in found}


def test_every_command_frame_stream_and_close_code_is_shown(page: str) -> None:
    shown = sections(page)
    assert set(shown) == set(document()["components"]["messages"])
    for name in [*commands, *server_frames, *map(str, CODES)]:
        assert f"<code>{name}</code>" in page
    for kind in stream_types.values():
        assert f"<code>{kind.pattern}</code>" in page


def test_a_section_has_a_description_its_fields_and_an_example(page: str) -> None:
    shown = sections(page)
    receipt = shown["event.read_receipt"]
    assert "The receiver read messages of yours" in receipt
    assert "user.{userId}" in receipt
    assert re.search(r"messageIds\s+list of UUID", receipt)
    assert '"type": "read_receipt"' in receipt
    assert re.search(
        r"Answered by\s+subscribed\s*,\s*reset\s*,\s*error", shown["command.subscribe"]
    )
    assert re.search(r"after\s+integer, from 0\s+optional", shown["command.subscribe"])
    assert re.search(r"errors\[\]\.field\s+string", shown["frame.error"])
    assert re.search(r"presence\.\*\.lastSeenAt\s+time or null", shown["frame.presence"])


def test_no_link_within_the_page_is_dead(page: str) -> None:
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert len(targets) > 20
    assert targets <= set(re.findall(r'id="([^"]+)"', page))


def test_the_page_loads_nothing_from_other_servers(anonymous: ContractClient, page: str) -> None:
    fetched = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert "/static/realtime.css" in fetched
    assert all(address.startswith("/") for address in fetched)
    assert all(anonymous.get(address).status_code == 200 for address in fetched)
    assert "<script" not in page
    policy = anonymous.get("/docs/realtime")["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
