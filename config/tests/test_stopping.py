"""A process that is told to stop ends properly, on SIGINT as on SIGTERM."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from apps.accounts.tests.people import Person
from apps.posts.models import Post
from apps.posts.tests.factories import published_by, row
from testing.server import ServerProcess, database_url, free_port, python_process, run_python, until
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
HALF = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"

Start = Callable[..., ServerProcess]
both_signals = pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])


def look_at(post: Post, server: ServerProcess) -> None:
    assert server.call("GET", f"/api/v1/posts/{post.pk}", headers=BROWSER).status_code == 200


@both_signals
def test_a_server_that_is_told_to_stop_saves_its_views(
    start_server: Start, alice: Person, how: signal.Signals
) -> None:
    """Views wait in memory and would be lost with the process."""
    post = published_by(alice)
    server = start_server()
    look_at(post, server)
    assert server.stop(how) == 0
    assert row(post)["view_count"] == 1
    assert server.log.read_text().endswith("Stopped.\n")


@both_signals
def test_a_server_with_open_connections_saves_its_views_and_stops_on_a_second_signal(
    start_server: Start, alice: Person, how: signal.Signals
) -> None:
    post = published_by(alice)
    server = start_server(SERVER_SHUTDOWN_TIMEOUT="1")
    look_at(post, server)
    address = ("127.0.0.1", server.port)
    with TestSocket(server.url, token=alice.access), socket.create_connection(address) as half:
        half.sendall(HALF)
        server.send(how)
        server.send(how)
        assert server.stop(how) == 0
    assert row(post)["view_count"] == 1
    assert server.log.read_text().endswith("Stopped.\n")


@both_signals
def test_a_server_stops_before_it_has_started(tmp_path: Path, how: signal.Signals) -> None:
    server = ServerProcess(tmp_path / "log")
    server.launch()
    try:
        until(lambda: "  data   " in server.log.read_text(), seconds=30)
        assert server.stop(how) == 0
    finally:
        server.kill()
    assert server.log.read_text().endswith("Stopped.\n")


# manage.py serve, with a task on its loop that ignores its cancellation.
SERVER_WITH_ENDLESS_TASK = """
import asyncio
import sys
from django.core.management import execute_from_command_line
from config.health_checks import HealthChecks

async def never_end():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def start(self):
    self.endless = asyncio.create_task(never_end())

HealthChecks.start = start
execute_from_command_line(["manage.py", "serve", "--port", sys.argv[1]])
"""


@both_signals
def test_a_server_with_an_endless_task_stops(tmp_path: Path, how: signal.Signals) -> None:
    port, log = free_port(), tmp_path / "log"
    with python_process(log, "-c", SERVER_WITH_ENDLESS_TASK, str(port)) as server:
        until(lambda: _listens(port), seconds=30)
        server.send_signal(how)
        assert server.wait(timeout=20) == 0
    assert log.read_text().endswith("Stopped.\n")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# manage.py worker, with a database that hangs and swallows every exception.
HANGING_WORKER = """
import os
import time
import django
from django.core.management import execute_from_command_line

django.setup()
from apps.jobs import worker

def hang(*given):
    os.write(1, b"hanging\\n")
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

worker.jobs_take = hang
execute_from_command_line(["manage.py", "worker"])
"""


@both_signals
def test_a_worker_whose_database_hangs_stops(how: signal.Signals) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", HANGING_WORKER],
        cwd=settings.BASE_DIR,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings_test",
            "SERVER_SHUTDOWN_TIMEOUT": "1",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    with worker.stdout as output:
        try:
            assert "hanging\n" in iter(output.readline, "")
            worker.send_signal(how)
            assert worker.wait(timeout=20) == 0
        finally:
            worker.kill()
            worker.wait()


# manage.py worker, told to stop right after it has logged many lines.
LOGGING_WORKER = """
import logging
import os
import signal
import django
from django.core.management import execute_from_command_line

django.setup()
from apps.jobs import worker

def log_lines(*given):
    for number in range(1000):
        logging.warning("line %d", number)
    os.kill(os.getpid(), signal.SIGTERM)

worker.jobs_take = log_lines
execute_from_command_line(["manage.py", "worker"])
"""


def test_a_worker_writes_all_log_lines_before_it_ends() -> None:
    ended = run_python("-c", LOGGING_WORKER)
    assert ended.returncode == 0
    assert "line 999 " in ended.stdout


@both_signals
def test_a_worker_that_is_told_to_stop_logs_no_traceback(
    tmp_path: Path, how: signal.Signals
) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "worker"],
            cwd=settings.BASE_DIR,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "config.settings_test",
                "DATABASE_URL": database_url(),
                "LOG_LEVEL": "info",
                "PYTHONUNBUFFERED": "1",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "waits for jobs" in log.read_text(), seconds=30)
        worker.send_signal(how)
        assert worker.wait(timeout=20) == 0
        assert "Traceback" not in log.read_text()
    finally:
        worker.kill()
