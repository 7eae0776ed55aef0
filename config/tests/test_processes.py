"""Several processes serve on one port, and their supervisor replaces those that end."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from apps.accounts.tests.people import Person
from apps.posts.tests.factories import published_by, row
from apps.realtime.tests.test_losing_nothing import contents, send
from config.listening import bind_shared
from config.management.commands.serve import NEEDS_BACKENDS
from config.supervised import BEAT, end_with_supervisor
from config.supervisor import (
    LONGEST_DELAY_SECONDS,
    SOON_SECONDS,
    Supervisor,
    next_delay,
)
from config.tests.test_metrics import read as read_metrics
from testing.server import ServerProcess, database_url, free_port, run_python, until
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration]

on_both_backends = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not settings.REDIS_URL, reason="Several processes need Redis."),
]

Start = Callable[..., ServerProcess]
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
TWO = {"WEB_CONCURRENCY": "2", "LOG_LEVEL": "info"}
HALF = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
# Of so many connections, each process gets at least one: the chance of the opposite is 2 in 2**20.
MANY = 20
# Backends that no test uses: what is refused is refused before either is asked.
POSTGRES, REDIS = "postgresql://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1"

# manage.py serve, with a first step that fails.
CANNOT_START = """
import sys
from django.core.management import execute_from_command_line
from config.health_checks import HealthChecks

async def fails(self):
    raise OSError("the disk is on fire")

HealthChecks.start = fails
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def _shared_processes(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with django_db_blocker.unblock():
        log = tmp_path_factory.mktemp("processes") / "log"
        process = ServerProcess(log, TWO)
    with process:
        yield process


@pytest.fixture
def server(transactional_db: Any, _shared_processes: ServerProcess) -> Iterator[ServerProcess]:
    """Two processes on one port, which several tests share."""
    yield _shared_processes
    until(lambda: open_in_each(_shared_processes) == {0})


def processes_on(port: int) -> set[int]:
    """Return the processes that were started for the port, the supervisor among them."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    return {int(pid) for pid, command in rows if f"--port {port}" in command}


def supervised_by(server: ServerProcess) -> set[int]:
    """Return the two processes, as soon as two serve."""

    def both() -> set[int]:
        began = re.findall(r"a process serves .*pid=(\d+)", server.log.read_text())
        serving = processes_on(server.port) & set(map(int, began))
        return serving if len(serving) == 2 else set()

    return until(both, seconds=60)


@contextmanager
def many_sockets(server: ServerProcess, *users: Person) -> Iterator[list[TestSocket]]:
    """Open MANY sockets of the users, which are divided between the processes."""
    with ExitStack() as opened:
        sockets = [
            opened.enter_context(TestSocket(server.url, token=users[n % len(users)].access))
            for n in range(MANY)
        ]
        for each in sockets:
            each.expect("connected")
        yield sockets


def open_in_each(server: ServerProcess) -> set[int]:
    """Return how many sockets are open in each process, as /health of both says."""
    return {server.open_sockets() for _ in range(MANY)}


def answers(server: ServerProcess, *, patience: float) -> bool:
    """Return whether a request on a new connection is answered within the seconds."""
    try:
        return server.call("GET", "/health", timeout=patience).status_code == 200
    except httpx.ReadTimeout:
        return False


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process: its connections stay open, and it answers nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class TestSeveralProcesses:
    pytestmark = on_both_backends

    def test_both_serve_and_deliver_to_the_sockets_of_each_other(
        self, server: ServerProcess, alice: Person, bob: Person
    ) -> None:
        supervised_by(server)
        with many_sockets(server, alice, bob) as sockets:
            counts = open_in_each(server)
            assert 0 not in counts
            assert sum(counts) in {MANY, MANY // 2}
            send(server, alice, bob, "Hello")
            for bob_socket in sockets[1::2]:
                assert contents([bob_socket.expect("chat_message")]) == ["Hello"]

    def test_any_process_tells_the_metrics_of_both(
        self, server: ServerProcess, alice: Person, bob: Person
    ) -> None:
        """They learn of each other a moment later."""

        def told() -> set[float]:
            return {read_metrics(server)[("parley_websockets",)] for _ in range(MANY)}

        supervised_by(server)
        with many_sockets(server, alice, bob):
            until(lambda: told() == {MANY})
        until(lambda: told() == {0})

    def test_a_process_that_is_killed_costs_its_own_sockets_alone_and_is_replaced(
        self, server: ServerProcess, alice: Person, bob: Person
    ) -> None:
        first, second = supervised_by(server)
        with many_sockets(server, alice, bob):
            before = open_in_each(server)
            os.kill(first, signal.SIGKILL)
            # None is refused or waits for the process that is gone.
            assert max(open_in_each(server)) in before
        until(lambda: first not in supervised_by(server))
        os.kill(second, signal.SIGKILL)
        assert open_in_each(server) == {0}
        assert supervised_by(server).isdisjoint({first, second})

    def test_a_server_that_is_told_to_stop_ends_every_process_properly(
        self, start_server: Start, alice: Person, bob: Person
    ) -> None:
        server = start_server(**TWO, SERVER_SHUTDOWN_TIMEOUT="3")
        posts = [published_by(alice) for _ in range(8)]
        address = ("127.0.0.1", server.port)
        with (
            many_sockets(server, alice, bob) as sockets,
            socket.create_connection(address) as half,
        ):
            half.sendall(HALF)
            for post in posts:
                server.call("GET", f"/api/v1/posts/{post.pk}", headers=BROWSER)
            assert server.stop(signal.SIGTERM) == 0
            assert {each.closed_with() for each in sockets} == {1012}
        assert [row(post)["view_count"] for post in posts] == [1] * len(posts)
        assert not processes_on(server.port)
        assert server.log.read_text().endswith("Stopped.\n")
        assert server.log.read_text().count("Stopped.\n") == 1

    def test_the_processes_end_with_a_supervisor_that_is_killed(
        self, start_server: Start, alice: Person
    ) -> None:
        server = start_server(**TWO)
        post = published_by(alice)
        supervised_by(server)
        server.call("GET", f"/api/v1/posts/{post.pk}", headers=BROWSER)
        server.kill()
        until(lambda: not processes_on(server.port))
        assert row(post)["view_count"] == 1

    def test_a_process_that_hangs_costs_no_new_client_anything(self, server: ServerProcess) -> None:
        hung, _ = supervised_by(server)
        with frozen(hung):
            for _ in range(MANY):
                assert answers(server, patience=10)

    def test_without_help_new_clients_wait_until_a_process_that_hangs_is_replaced(
        self, start_server: Start
    ) -> None:
        """The test above catches such a build."""
        tampering = "never-helps,brief-patience"
        server = start_server(**TWO, SERVER_SHUTDOWN_TIMEOUT="1", PARLEY_TAMPER=tampering)
        hung, _ = supervised_by(server)
        os.kill(hung, signal.SIGSTOP)
        assert not all(answers(server, patience=1) for _ in range(MANY))
        until(lambda: hung not in supervised_by(server))
        assert "A process hung and was killed." in server.log.read_text()
        assert all(answers(server, patience=30) for _ in range(MANY))
        assert server.stop(signal.SIGINT) == 0

    def test_processes_that_cannot_start_end_the_server_with_one_sentence(self) -> None:
        ended = serve_two("-c", CANNOT_START, port=free_port(), database=database_url())
        assert ended.returncode == 1
        assert ended.stderr == "The server could not start: OSError: the disk is on fire\n"

    def test_processes_are_replaced_one_by_one_and_no_request_fails(
        self, start_server: Start, alice: Person
    ) -> None:
        server = start_server(
            **TWO, RATE_LIMIT_BURST="1000000", RATE_LIMIT_REQUESTS_PER_SECOND="1000000"
        )
        before = supervised_by(server)
        post = published_by(alice)
        ended = threading.Event()
        with ThreadPoolExecutor() as clients:
            asking = [
                clients.submit(ask_again_and_again, server, f"/api/v1/posts/{post.pk}", ended),
                clients.submit(ask_again_and_again, server, "/api/v1/auth/profile", ended, alice),
                clients.submit(ask_anew_again_and_again, server, ended),
            ]
            server.send(signal.SIGHUP)
            log_has(server, "all processes were replaced")
            ended.set()
        assert [one.result() for one in asking] == [{200}] * 3
        assert supervised_by(server).isdisjoint(before)
        assert server.stop(signal.SIGTERM) == 0

    def test_new_processes_refuse_a_database_that_lacks_migrations_and_the_old_ones_stay(
        self, server: ServerProcess
    ) -> None:
        """The new release was installed, and its migrations were forgotten."""
        before = supervised_by(server)
        recorder = MigrationRecorder(connection)
        [last] = MigrationLoader(connection).graph.leaf_nodes("posts")
        recorder.record_unapplied(*last)
        try:
            server.send(signal.SIGHUP)
            log_has(server, "a new process does not serve, and the old ones stay")
        finally:
            recorder.record_applied(*last)
        assert f"lacks migrations of this release: {'.'.join(last)}" in server.log.read_text()
        assert supervised_by(server) == before


def ask_again_and_again(
    server: ServerProcess, path: str, ended: threading.Event, who: Person | None = None
) -> set[int]:
    """Ask over one connection as long as the server leaves it open; return the statuses."""
    found = set()
    headers = {"Authorization": f"Bearer {who.access}"} if who else {}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
        while not ended.is_set():
            found.add(client.get(path).status_code)
    return found


def ask_anew_again_and_again(server: ServerProcess, ended: threading.Event) -> set[int]:
    """Ask over a new connection each time; return the statuses."""
    found = set()
    while not ended.is_set():
        found.add(server.call("GET", "/health").status_code)
    return found


def log_has(server: ServerProcess, text: str) -> None:
    until(lambda: text in server.log.read_text(), seconds=60)


# A process of a supervisor: it serves until it is told to stop.
SERVES = """
import signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
link = socket.socket(fileno=int(sys.argv[-1].split(",")[0]))
while True:
    link.send(bytes(1))
    time.sleep(0.05)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The program that a supervisor of this process starts; what handles signals is restored."""
    path = tmp_path / "serve.py"
    path.write_text(SERVES)
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, str(path)])
    told = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in told}
    yield path
    for number, handler in before.items():
        signal.signal(number, handler)


def test_old_processes_stay_if_the_new_ones_do_not_serve(
    program: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def supervise() -> list[list[int]]:
        supervisor = Supervisor(bind_shared("127.0.0.1", free_port(), 2), stop_seconds=10)
        running = asyncio.create_task(supervisor.run())
        pids = [await serving(supervisor)]
        for text in ("raise SystemExit('a mistake')", SERVES):
            await asyncio.to_thread(program.write_text, text)
            os.kill(os.getpid(), signal.SIGHUP)
            await renewed(supervisor)
            pids.append(await serving(supervisor))
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == ""
        return pids

    first, after_a_mistake, last = asyncio.run(supervise())
    assert first == after_a_mistake
    assert set(last).isdisjoint(first)


def test_a_new_process_reads_the_settings_file_itself(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would inherit what its supervisor has read of .env, and take nothing that was changed
    there."""
    monkeypatch.setenv("READ_FROM_ENV_FILE", "long ago")
    seen = program.with_name("seen")
    program.write_text(f"import os; open({str(seen)!r}, 'w').write(str({{**os.environ}}))")
    supervisor = Supervisor(bind_shared("127.0.0.1", free_port(), 1), stop_seconds=10)
    assert "A process ended" in asyncio.run(supervisor.run())
    assert "PATH" in seen.read_text()
    assert "READ_FROM_ENV_FILE" not in seen.read_text()


async def serving(supervisor: Supervisor) -> list[int]:
    """Return the processes once both serve."""
    while True:
        current = [one for _, one in sorted(supervisor._current.items()) if one.served]
        if len(current) == 2 and len(supervisor._running) == 2:
            return [one.process.pid for one in current]
        await asyncio.sleep(0.01)


async def renewed(supervisor: Supervisor) -> None:
    """Wait until the supervisor has tried to replace its processes."""
    while True:
        if renewing := supervisor._renewing:
            await renewing
            supervisor._renewing = None
            return
        await asyncio.sleep(0.01)


def test_a_process_ends_with_a_supervisor_that_has_not_read_all_its_beats() -> None:
    link, supervisor = socket.socketpair()
    told = threading.Event()
    end_with_supervisor(link, told.set, seconds=3600)
    link.send(BEAT)
    supervisor.close()
    assert told.wait(15)
    link.close()


@pytest.mark.parametrize(
    ("argument", "environment"),
    [
        ("--processes=2", {"DATABASE_URL": "", "REDIS_URL": REDIS}),
        ("--processes=2", {"DATABASE_URL": POSTGRES, "REDIS_URL": ""}),
        ("--port=1", {"DATABASE_URL": "", "REDIS_URL": "", "WEB_CONCURRENCY": "2"}),
    ],
)
def test_an_embedded_server_refuses_to_be_several_processes(
    argument: str, environment: dict[str, str]
) -> None:
    ended = run_python("manage.py", "serve", argument, **environment)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1] == NEEDS_BACKENDS


def serve_two(*how: str, port: int, database: str = POSTGRES) -> subprocess.CompletedProcess[str]:
    """Run two processes until the server ends by itself."""
    arguments = ["serve", "--port", str(port), "--processes", "2"]
    return run_python(*how, *arguments, DATABASE_URL=database, REDIS_URL=REDIS)


def test_processes_do_not_share_the_port_of_another_server() -> None:
    with socket.create_server(("0.0.0.0", 0), reuse_port=True) as other:  # noqa: S104
        port = other.getsockname()[1]
        ended = serve_two("manage.py", port=port)
    sentence = f"Another program serves on port {port}. Set SERVER_PORT to a free one.\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", sentence)


@pytest.mark.parametrize("number", ["0", "-1", "two", "101"])
def test_a_number_of_processes_that_cannot_be_is_refused(number: str) -> None:
    with pytest.raises(CommandError, match="--processes: use a whole number from 1 to 100"):
        call_command("serve", f"--processes={number}")


@pytest.mark.parametrize("port", ["0", "-1", "http", "65536", "9" * 5000])
def test_a_port_that_cannot_be_is_refused(port: str) -> None:
    with pytest.raises(CommandError, match="--port: use a whole number from 1 to 65535"):
        call_command("serve", f"--port={port}")


def test_a_process_that_ends_again_and_again_is_replaced_later_each_time() -> None:
    delays = [0.0]
    for _ in range(8):
        delays.append(next_delay(delays[-1], lived=SOON_SECONDS / 2))
    assert delays[:4] == [0.0, 0.5, 1.0, 2.0]
    assert delays[-1] == LONGEST_DELAY_SECONDS


def test_a_process_that_lived_for_a_while_is_replaced_at_once() -> None:
    assert next_delay(LONGEST_DELAY_SECONDS, lived=SOON_SECONDS) == 0.0
