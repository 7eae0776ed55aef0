"""The processes of the installation that run Parley: web processes and workers."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx

from bench.servers import free_port
from testing.chaos.link import Link

ROOT = Path(__file__).parent.parent.parent
LOGS = ROOT / "var" / "chaos"
STOP_SECONDS = 20.0


class Process:
    """A process that runs `manage.py` with some arguments."""

    def __init__(self, name: str, environment: Mapping[str, str], *arguments: str) -> None:
        self.name = name
        self.environment = dict(environment)
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process without waiting until it works."""
        command = [sys.executable, "manage.py", *self._arguments]
        with (LOGS / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )

    @property
    def pid(self) -> int | None:
        """Return the id of the process, None if it was ended."""
        return None if self._process is None else self._process.pid

    @property
    def runs(self) -> bool:
        """Return whether the process has not ended."""
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the process by this signal, and wait for that."""
        self.send(signal.SIGCONT)
        self.send(number)
        if self._process is not None:
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None


class Worker(Process):
    """A process that does jobs."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        super().__init__(name, environment, "worker")


class Web(Process):
    """A web process, on a port of its own, behind a link for its clients."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self.port = free_port()
        super().__init__(name, environment, "serve", "--port", str(self.port))
        self.link = Link(self.port)
        self.to_postgres: Link
        self.to_redis: Link
        # The clients' connections for requests, through the link.
        self.http: httpx.AsyncClient

    def ready(self) -> bool:
        """Return whether the process says that it should get traffic."""
        with suppress(OSError, HTTPException), closing(self._connection()) as connection:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        return False

    def _connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=5)
