"""Real server processes, for tests that a test client cannot do."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
from django.conf import settings
from django.db import connection

T = TypeVar("T")

# Servers of tests speak no TLS; without this, httpx reads all authorities at each call, for 20 ms.
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def until(what: Callable[[], T], *, seconds: float = 15) -> T:
    """Return the first truthy value of `what`, tried again and again; fail after the seconds."""
    deadline, pause = time.monotonic() + seconds, 0.02
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < deadline, f"Not so within {seconds} s: {what}"
        time.sleep(pause)
        # A socket that asks on and on must not send more frames than it may.
        pause = min(1.2 * pause, 0.1)


def free_port() -> int:
    """Return a port of this machine that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def database_url() -> str:
    """Return the address of the database that the running test uses."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{quote(str(found['NAME']))}"
    host = f"{found['HOST']}:{found['PORT']}"
    return f"postgresql://{found['USER']}:{quote(found['PASSWORD'])}@{host}/{found['NAME']}"


@contextmanager
def empty_database(folder: Path) -> Iterator[str]:
    """Yield the address of an empty database of the same kind as that of the running test."""
    name = f"empty_{uuid4().hex}"
    if connection.vendor == "sqlite":
        yield f"sqlite:///{quote(str(folder))}/{name}.sqlite3"
        return
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(database_url())._replace(path=f"/{name}").geturl()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the arguments, the settings of the tests and more environment variables;
    return its exit code and output."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings_test", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def python_process(log: Path, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run Python with the arguments on the running test's database, with its output in the log, and
    end it after the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=settings.BASE_DIR,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "config.settings_test",
                "DATABASE_URL": database_url(),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        # It may have processes of its own to end.
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class ServerProcess:
    """`manage.py serve` on a free port and the running test's database, as a context manager.

    Its output is appended to `log`, or goes to `pipe`, a file descriptor. `arguments` are further
    ones of the command. Jobs are done by the test that enqueues them, not by a server that several
    tests share, unless it `does_jobs`.
    """

    def __init__(
        self,
        log: Path,
        environment: Mapping[str, str] | None = None,
        pipe: int | None = None,
        arguments: Sequence[str] = (),
        *,
        does_jobs: bool = False,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._pipe = pipe
        self._arguments = [*arguments] if does_jobs else ["--without-jobs", *arguments]
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings_test",
            "DATABASE_URL": database_url(),
            "SERVER_HOST": "127.0.0.1",
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "ServerProcess":
        self.launch()
        try:
            until(self._answers, seconds=60)
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self) -> None:
        """Start the process without waiting until it serves."""
        command = [sys.executable, "manage.py", "serve", "--port", str(self.port)]
        command += self._arguments
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env=self._environment,
                stdout=output if self._pipe is None else self._pipe,
                stderr=subprocess.STDOUT,
            )

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        assert self._process is not None
        return self._process.pid

    def call(
        self, method: str, path: str, *, timeout: float = 30, **options: Any
    ) -> httpx.Response:
        """Return the response to one request on a new connection."""
        url = f"{self.url}{path}"
        return httpx.request(method, url, timeout=timeout, verify=NO_AUTHORITIES, **options)

    def open_sockets(self) -> int:
        """Return how many websockets are open, as /health reports it."""
        count: int = self.call("GET", "/health").json()["websocket"]["connections"]
        return count

    def resident_bytes(self) -> int:
        """Return how much memory the process holds, or 0 where the system has no /proc."""
        status = Path(f"/proc/{self.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else ()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Ask the process to stop, by SIGINT or by SIGTERM, and return its exit code."""
        return self._end(how)

    def kill(self) -> int:
        """Kill the process by SIGKILL and return its exit code."""
        return self._end(signal.SIGKILL)

    def send(self, how: signal.Signals) -> None:
        """Send the process a signal, unless it has ended."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(how)

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self.send(how)
        return self._process.wait(timeout=20)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            return self.call("GET", "/health").status_code == 200
        except httpx.TransportError:
            return False
