"""The client's names are those of the server, and it needs nothing of the server's code."""

import ast
import sys
from pathlib import Path

import pytest

import parley_client
from apps.realtime import closing as server_closing
from apps.realtime.registry import commands
from apps.realtime.server_frames import Event, Signal, server_frames
from apps.realtime.transport import FRAME_BYTES, FRAMES
from parley_client import closing, frames, pace
from parley_client.closing import Then, after
from parley_client.errors import BY_CODE, Refused

SOURCES = sorted(Path(parley_client.__file__).parent.glob("*.py"))
ALLOWED = {"parley_client", "websockets", "httpx"}


def test_the_client_sends_commands_that_the_server_has() -> None:
    assert set(frames.Command) <= set(commands)


def test_the_client_handles_every_frame_of_the_server_that_is_no_answer_to_the_application() -> (
    None
):
    own = {name for name, kind in server_frames.items() if not issubclass(kind, Event | Signal)}
    of_the_application = {"presence", "left_room", "user_joined_room", "user_left_room"}
    assert own - set(frames.Received) == of_the_application
    assert set(frames.Received) <= own


def test_the_client_knows_every_close_code_of_the_server() -> None:
    assert set(server_closing.CODES) == closing.CODES
    names = [
        name for name in vars(server_closing) if isinstance(getattr(server_closing, name), int)
    ]
    assert {name: getattr(closing, name) for name in names} == {
        name: getattr(server_closing, name) for name in names
    }


@pytest.mark.parametrize(
    ("code", "then"),
    [
        (1000, Then.RECONNECT),
        (1006, Then.RECONNECT),
        (1009, Then.RECONNECT),
        (1012, Then.RECONNECT_LATER),
        (4000, Then.RECONNECT),
        (4401, Then.LOG_IN),
        (4408, Then.RECONNECT),
        (4499, Then.RECONNECT),
        (4500, Then.STOP),
        (4501, Then.STOP),
        (4999, Then.STOP),
    ],
)
def test_what_the_client_does_after_a_close(code: int, then: Then) -> None:
    assert after(code) is then


def test_the_client_keeps_the_limits_of_the_server() -> None:
    assert frames.FRAME_BYTES == FRAME_BYTES
    assert FRAMES.rate > pace.FRAMES_PER_SECOND
    assert FRAMES.burst > pace.FRAMES_AT_ONCE


def test_the_client_knows_codes_that_the_server_has() -> None:
    page = Path(__file__).parents[3] / "docs" / "errors.md"
    text = page.read_text()
    assert all(f"`{code}`" in text for code in {*BY_CODE, *Refused.TRANSIENT})


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_client_imports_nothing_of_the_server(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            assert top in ALLOWED or top in sys.stdlib_module_names, name
