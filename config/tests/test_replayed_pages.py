"""The commands of the pages that are tours, replayed in order against a running server."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from django.conf import settings

from testing.frames import check_command, check_server_frame
from testing.server import ServerProcess, until

DOCS = settings.BASE_DIR / "docs"
# The pages, with a little less than the number of their blocks.
PAGES = [("first-steps.md", 25), ("notifications.md", 25)]
BLOCK = re.compile(r"^```(\w+)(?: (\w+)=(\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END = "--- end of block ---"


@dataclass(frozen=True)
class Block:
    """A block of the page: its language, what to do with it, and in whose terminal."""

    language: str
    action: str
    terminal: str
    text: str


def blocks(page: str, folder: Path) -> list[Block]:
    text = (DOCS / page).read_text().replace("var/", f"{folder}/")
    return [Block(*match.groups(default="")) for match in BLOCK.finditer(text)]


class Shell:
    """The first terminal of the reader."""

    def __init__(self, processes: ExitStack, port: int) -> None:
        self._process = processes.enter_context(started(["bash"], port))

    def run(self, commands: str) -> str:
        """Return what the commands print."""
        stdin, stdout = pipes(self._process)
        stdin.write(f"{commands}\necho; echo '{END}'\n")
        stdin.flush()
        lines = []
        while (line := stdout.readline()) != f"{END}\n":
            assert line, "The shell has ended."
            lines.append(line)
        return "".join(lines).strip()


class Terminal:
    """A terminal with a websocket client in it."""

    def __init__(self, processes: ExitStack, command: str, port: int) -> None:
        self._process = processes.enter_context(started(["bash", "-c", command], port))
        self._frames: list[Any] = []

    def type(self, line: str) -> None:
        """Type a frame as one line."""
        check_command(json.loads(line))
        stdin, _ = pipes(self._process)
        stdin.write(line.strip() + "\n")
        stdin.flush()

    def shows(self, expected: Any) -> bool:
        """Return whether such a frame is shown, now or after the next line."""
        _, stdout = pipes(self._process)
        found = re.search(r"< (\{.*\})", stdout.readline())
        if found:
            self._frames.append(json.loads(found.group(1)))
            check_server_frame(self._frames[-1])
        return any(alike(expected, frame) for frame in self._frames)


def started(command: list[str], port: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        env={**os.environ, "SERVER_PORT": str(port)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def pipes(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    assert process.stdin
    assert process.stdout
    return process.stdin, process.stdout


def alike(expected: Any, actual: Any) -> bool:
    """Return whether the actual value has everything that is expected; `…` matches any text."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and alike(value, actual[key]) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return len(expected) == len(actual) and all(map(alike, expected, actual))
    if isinstance(expected, str) and isinstance(actual, str):
        return re.fullmatch(re.escape(expected).replace("…", ".+"), actual) is not None
    return bool(expected == actual)


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.integration
@pytest.mark.parametrize(("page", "least"), PAGES)
@pytest.mark.django_db(transaction=True)
def test_every_command_of_a_page_does_what_the_page_says(
    page: str,
    least: int,
    processes: ExitStack,
    tmp_path: Path,
) -> None:
    environment = {"MAIL_FOLDER": str(tmp_path / "mail")}
    server = processes.enter_context(
        ServerProcess(tmp_path / "server.log", environment, does_jobs=True)
    )
    shell = Shell(processes, server.port)
    terminals: dict[str, Terminal] = {}
    printed = ""
    played = 0
    for block in blocks(page, tmp_path):
        match (block.language, block.action):
            case ("sh", ""):
                printed = shell.run(block.text)
            case ("sh", "terminal"):
                terminals[block.terminal] = Terminal(processes, f"exec {block.text}", server.port)
            case ("json", "typed"):
                terminals[block.terminal].type(block.text)
            case ("json", "shown"):
                terminal, expected = terminals[block.terminal], json.loads(block.text)
                until(lambda t=terminal, e=expected: t.shows(e))  # type: ignore[misc]
            case ("json", ""):
                assert alike(json.loads(block.text), json.loads(printed)), printed
            case unknown:
                raise AssertionError(f"The page has a block of an unknown kind: {unknown}")
        played += 1
    assert played >= least
    for terminal in terminals.values():
        terminal._process.terminate()


def test_a_page_that_is_wrong_fails() -> None:
    assert alike({"a": "…Z", "b": [{"c": 1}]}, {"a": "2026Z", "b": [{"c": 1, "d": 2}], "e": 3})
    assert not alike({"a": "x"}, {"a": "y"})
    assert not alike({"a": []}, {"a": [1]})
    assert not alike({"missing": 1}, {})
