"""Whoever reads what a server writes may hang: a full pipe, a stopped terminal, a disk. The server
goes on without them."""

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
    """A server that cannot write a single line any more."""
    environment = {"LOG_LEVEL": "info", "LOG_FORMAT": "json", "PARLEY_TAMPER": tamper}
    with UnreadPipe() as pipe, ServerProcess(tmp_path / "log", environment, pipe.writer) as server:
        pipe.read_until("  data   ")
        pipe.fill()
        yield server, pipe


def ask(server: ServerProcess, name: str, *, patience: float = 30) -> None:
    headers = {"X-Request-ID": name}
    answer = httpx.get(f"{server.url}/api/v1/nothing", headers=headers, timeout=patience)
    assert answer.status_code == 404


def test_a_server_whose_output_nobody_reads_serves_and_stops_as_ever(
    tmp_path: Path, alice: Person, bob: Person
) -> None:
    with unread_server(tmp_path, "hurried") as (server, _):
        with TestSocket(server.url, token=bob.access) as his:
            his.expect("connected")
            for number in range(10):
                send(server, alice, bob, str(number))
            assert contents([his.expect("chat_message") for _ in range(10)]) == list("0123456789")
        assert server.stop(signal.SIGTERM) == 0


def test_a_server_that_waits_for_its_reader_answers_nobody(tmp_path: Path) -> None:
    """The test above catches a build without the queue."""
    with unread_server(tmp_path, "waits-for-its-reader") as (server, _):
        with pytest.raises(httpx.ReadTimeout):
            ask(server, "first", patience=1)
        server.kill()


def test_lines_keep_their_order_and_those_that_are_lost_are_counted_in_their_place(
    tmp_path: Path,
) -> None:
    names = [f"asked-{number}" for number in range(30)]
    with unread_server(tmp_path, "short-queue") as (server, pipe):
        for name in names:
            ask(server, name)
        *lines, told = map(json.loads, pipe.read_until("log lines were lost"))
        assert [line["request_id"] for line in lines] == names[: len(lines)]
        assert told["event"] == f"{len(names) - len(lines)} log lines were lost"
        assert len(lines) < len(names)
        ask(server, "afterwards")
        [last] = map(json.loads, pipe.read_until("afterwards"))
        assert last["request_id"] == "afterwards"
