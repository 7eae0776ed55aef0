"""A server goes on when the reader of its output hangs: a full pipe, a stopped terminal, a disk."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from apps.accounts.tests.people import Person
from apps.realtime.tests.test_losing_nothing import contents, send
from testing.pipe import UnreadPipe
from testing.server import ServerProcess
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@contextmanager
def unread_server(tmp_path: Path, tamper: str) -> Iterator[tuple[ServerProcess, UnreadPipe]]:
    """A server whose output pipe is full, so that it cannot write another line."""
    environment = {"LOG_LEVEL": "info", "LOG_FORMAT": "json", "PARLEY_TAMPER": tamper}
    with UnreadPipe() as pipe, ServerProcess(tmp_path / "log", environment, pipe.writer) as server:
        pipe.read_until("  data   ")
        pipe.fill()
        yield server, pipe


def ask(server: ServerProcess, name: str, *, patience: float = 30) -> None:
    headers = {"X-Request-ID": name}
    answer = server.call("GET", "/api/v1/nothing", headers=headers, timeout=patience)
    assert answer.status_code == 404


def test_a_server_whose_output_is_not_read_serves_and_stops(
    tmp_path: Path, alice: Person, bob: Person
) -> None:
    with unread_server(tmp_path, "hurried") as (server, _):
        with TestSocket(server.url, token=bob.access) as socket:
            socket.expect("connected")
            for number in range(10):
                send(server, alice, bob, str(number))
            assert contents([socket.expect("chat_message") for _ in range(10)]) == list(
                "0123456789"
            )
        assert server.stop(signal.SIGTERM) == 0


def test_a_server_that_waits_for_its_reader_answers_no_request(tmp_path: Path) -> None:
    """So the test above would fail without the queue."""
    with unread_server(tmp_path, "waits-for-its-reader") as (server, _):
        with pytest.raises(httpx.ReadTimeout):
            ask(server, "first", patience=1)
        server.kill()


def test_lines_keep_their_order_and_lost_lines_are_counted_in_their_place(
    tmp_path: Path,
) -> None:
    names = [f"asked-{number}" for number in range(30)]
    with unread_server(tmp_path, "short-queue") as (server, pipe):
        for name in names:
            ask(server, name)
        *lines, count = map(json.loads, pipe.read_until("log lines were lost"))
        assert [line["request_id"] for line in lines] == names[: len(lines)]
        assert count["event"] == f"{len(names) - len(lines)} log lines were lost"
        assert len(lines) < len(names)
        ask(server, "afterwards")
        [last] = map(json.loads, pipe.read_until("afterwards"))
        assert last["request_id"] == "afterwards"
