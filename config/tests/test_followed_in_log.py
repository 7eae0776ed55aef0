"""What docs/operations.md shows about the log is true: its commands find one request, one socket
and one message in the logs of two processes."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from config.tests.pages import section
from testing.server import ServerProcess, until
from testing.socket import TestSocket

SECTION = section("operations.md", "Logs")
COMMANDS = re.findall(r"```sh\n(.+?)```", SECTION, re.DOTALL)
EVENTS = set(
    re.findall(r"`([a-z ]+)`", "".join(re.findall(r"^\| (`.+?) \|", SECTION, re.MULTILINE)))
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(shutil.which("jq") is None, reason="the commands need jq"),
]


class Logs:
    """The folder with the logs of all processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def settings(self, name: str) -> dict[str, str]:
        return {
            "LOG_LEVEL": "info",
            "LOG_FORMAT": "json",
            "LOG_OUTPUT": "file",
            "LOG_FILE_PATH": str(self._folder / "logs" / f"{name}.log"),
        }

    def run(self, command: str, **variables: str) -> str:
        """Return what a command of the document prints."""
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self._folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        return ran.stdout

    def find(self, command: str, **variables: str) -> list[dict[str, Any]]:
        """Return the lines that a command of the document finds."""
        return [json.loads(line) for line in self.run(command, **variables).splitlines()]

    def find_events(self, command: str, events: set[str], **variables: str) -> list[dict[str, Any]]:
        """Return the lines that a command finds, once all of these events are among them."""
        until(lambda: events <= {one["event"] for one in self.find(command, **variables)})
        return self.find(command, **variables)


def the(event: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    [line] = [one for one in lines if one["event"] == event]
    return line


def test_one_request_one_socket_and_one_message_are_followed_through_two_processes(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person, tmp_path: Path
) -> None:
    by_request, many, by_socket, by_message, caught_up = COMMANDS
    failed, of_user, by_route = many.splitlines()
    logs = Logs(tmp_path)
    first = start_server(**logs.settings("first"))
    second = start_server(**logs.settings("second"))
    with TestSocket(second.url, token=bob.access, headers={"X-Request-ID": "bobs"}) as socket:
        bobs = socket.expect("connected")["data"]["clientId"]
        sent = first.call(
            "POST",
            "/api/v1/messages",
            headers={"Authorization": f"Bearer {alice.access}", "X-Request-ID": "alices"},
            json={"receiverId": bob.id, "content": "Hello"},
        )
        frame = socket.expect("chat_message")
        answer = socket.ask("chat_message", {"receiverId": alice.id, "content": "Hi"})
    message, reply = sent.json()["data"]["id"], answer["data"]["message"]["id"]

    # The request, in the process that answered it.
    [request] = logs.find_events(by_request, {"request"}, id="alices")
    assert request["route"] == "/api/v1/messages"
    assert request["created"] == message
    assert request["user_id"] == alice.id

    # The message: requested and committed there, delivered by the other process.
    lines = logs.find_events(by_message, {"request", "published", "delivered"}, id=message)
    published, delivered = the("published", lines), the("delivered", lines)
    assert published["process"] == request["process"] != delivered["process"]
    assert published["numbers"][delivered["stream"]] == delivered["seq"] == frame["seq"]
    assert (delivered["stream"], delivered["sockets"]) == (f"user.{bob.id}", 1)

    # The socket, from its beginning to its end, with what it sent.
    lines = logs.find_events(by_socket, {"connected", "message sent", "disconnected"}, id=bobs)
    assert {one["process"] for one in lines} == {delivered["process"]}
    assert {one["user_id"] for one in lines} == {bob.id}
    assert the("connected", lines)["request_id"] == "bobs"
    assert the("message sent", lines)["message_id"] == reply
    assert the("disconnected", lines)["code"] == 1000

    # Who was away catches up.
    name, seq = f"user.{alice.id}", the("published", logs.find(by_message, id=reply))["numbers"]
    with TestSocket(first.url, token=alice.access) as socket:
        socket.expect("connected")
        socket.ask("subscribe", {"stream": name, "after": 0})
        found = logs.find_events(caught_up, {"caught up"}, stream=name, seq=str(seq[name]))
    assert the("caught up", found)["user_id"] == alice.id

    # The lines of many requests.
    assert logs.run(failed) == ""
    assert {one["user_id"] for one in logs.find(of_user, user=bob.id)} == {bob.id}
    assert logs.run(by_route).split() == ["1", "/api/v1/messages"]
    logged = {one["event"] for one in logs.find("cat logs/*.log | jq -c .")}
    assert logged - EVENTS - {"pruned"} == set()


def test_the_end_of_an_id_finds_it_in_a_log_for_people(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    [command] = re.findall(r"`(grep .+?)`", SECTION)
    logs = Logs(tmp_path)
    server = start_server(
        **{
            **logs.settings("app"),
            "LOG_FORMAT": "console",
            "LOG_FILE_PATH": str(tmp_path / "app.log"),
        }
    )
    own_id = server.call("GET", "/api/v1/users").headers["X-Request-ID"]
    server.call("GET", "/api/v1/posts")
    until(lambda: "/api/v1/posts" in (tmp_path / "app.log").read_text())
    [line] = logs.run(command, id=own_id).splitlines()
    assert " GET    401 " in line or " GET    200 " in line
    assert " /api/v1/users " in line
