"""The processes that are measured and their databases: private, and ended with the benchmark."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.community import Written
from testing.servers import PrivatePostgres, private_redis

ROOT = Path(__file__).parent.parent
START_SECONDS = 120
STOP_SECONDS = 10


class DurablePostgres(PrivatePostgres):
    """A private server that flushes every commit to disk, as that of an installation does."""

    def _command(self, directory: Path) -> list[str]:
        durable = ("fsync", "synchronous_commit", "full_page_writes")
        # If a setting is given twice, the last one counts.
        return [*super()._command(directory), *(f"--{name}=on" for name in durable)]


@dataclass(frozen=True)
class User:
    """A user who is logged in."""

    id: str
    email: str
    token: str


@dataclass(frozen=True)
class Community:
    """Users who are logged in, and their posts."""

    users: list[User]
    posts: list[Written]


@dataclass(frozen=True)
class Backend:
    """PostgreSQL and Redis with Parley's tables, the environment that names them, and the folder
    of the code that serves from them."""

    database_url: str
    environment: Mapping[str, str]
    folder: Path = ROOT

    def users(self, count: int) -> list[User]:
        """Make so many users, each with a session."""
        return [User(**user) for user in self._seed("users", count)]

    def posts(self, count: int) -> list[str]:
        """Publish so many posts and return their ids."""
        return list(self._seed("posts", count))

    def community(self, posts: int) -> Community:
        """Make so many realistic posts of 6,000 authors."""
        made = self._seed("community", posts)
        return Community(
            [User(**user) for user in made["users"]], [Written(**post) for post in made["posts"]]
        )

    def setting(self, name: str) -> int:
        """Return a number from Parley's settings."""
        code = f"from django.conf import settings; print(settings.{name})"
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        return int(done.stdout)

    def rows(self, sql: str) -> list[Any]:
        """Return the rows that the statement gives."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()

    def query(self, sql: str) -> Any:
        """Return the one value that the statement gives."""
        found = self.rows(sql)
        return found[0][0] if found else None

    def execute(self, sql: str) -> None:
        """Run a statement."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(sql.encode())

    def jobs(self, count: int) -> None:
        """Enqueue so many jobs that do nothing, in one transaction."""
        self._seed("jobs", count)

    def _seed(self, what: str, count: int) -> Any:
        command = [sys.executable, "-m", "bench.seed", what, str(count)]
        # The lines about its events would stand among what it prints.
        environment = {**self.environment, "LOG_LEVEL": "warning"}
        done = subprocess.run(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        return json.loads(done.stdout)


@dataclass(frozen=True)
class Process:
    """A process that is measured."""

    pid: int

    def cpu_seconds(self) -> float:
        """Return the processor time that the process and all below it have taken."""
        return sum(_cpu_seconds(pid) for pid in _with_descendants(self.pid))

    def resident_bytes(self) -> int:
        """Return how much memory the process holds. Only Linux has this in a file."""
        return self._status("VmRSS") * 1024

    def peak_bytes(self) -> int:
        """Return the most memory that the process has held since it was started."""
        return self._status("VmHWM") * 1024

    def threads(self) -> int:
        """Return how many threads the process has."""
        return self._status("Threads")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise ProcessLookupError(self.pid)


@dataclass(frozen=True)
class Server(Process):
    """A process that serves on a port of 127.0.0.1."""

    port: int


def _cpu_seconds(pid: int) -> float:
    # After the name in brackets, which may hold anything, these are user and system time.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _with_descendants(pid: int) -> Iterator[int]:
    yield pid
    # A process is listed under the thread that started it.
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _with_descendants(int(child))


# All load comes from one address. Its limits are consumed as always, and never reached.
NEVER_REFUSED = {
    "RATE_LIMIT_REQUESTS_PER_SECOND": "1000000",
    "RATE_LIMIT_BURST": "1000000",
    "SERVER_CONNECTIONS_PER_ADDRESS": "0",
}


# Longer than any benchmark.
TOKENS_LAST = {"JWT_ACCESS_EXPIRY": "120"}


@contextmanager
def start_backend(limits: Mapping[str, str] = NEVER_REFUSED) -> Iterator[Backend]:
    """Yield a fresh backend; raises ServerUnavailable.

    `limits` are settings, such as those that limit one address; without them Parley's own defaults
    apply.
    """
    with DurablePostgres() as postgres, private_redis() as redis_url:
        environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if name in ("PATH", "HOME", "LANG")
            },
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis_url,
            "SERVER_HOST": "127.0.0.1",
            # Without a developer's own .env, as in the processes of tests.
            "APP_ENV": "test",
            "APP_SECRET_KEY": secrets.token_urlsafe(64),
            "JWT_SECRET": secrets.token_urlsafe(64),
            "LOG_FORMAT": "json",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            **limits,
        }
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, env=environment, cwd=ROOT, check=True)
        yield Backend(postgres.url, environment)


@contextmanager
def parley(
    backend: Backend, settings: str = "config.settings", *options: str, **changed: str
) -> Iterator[Server]:
    """Yield Parley as it is started in production: `manage.py serve`, with these options.

    `changed` are variables of its environment.
    """
    port = free_port()
    command = [sys.executable, "manage.py", "serve", "--port", str(port), *options]
    environment = {**backend.environment, "DJANGO_SETTINGS_MODULE": settings, **changed}
    with running(command, port, environment, backend.folder) as server:
        yield server


@contextmanager
def same_uvicorn(application: str, environment: Mapping[str, str]) -> Iterator[Server]:
    """Yield another ASGI application on a uvicorn that is set up as Parley's."""
    port = free_port()
    command = [sys.executable, "-m", "bench.serve", application, str(port)]
    with running(command, port, environment) as server:
        yield server


@contextmanager
def worker(backend: Backend) -> Iterator[Process]:
    """Yield a process that does jobs as in production: `manage.py worker`."""
    command = [sys.executable, "manage.py", "worker"]
    with _started(command, backend.environment, backend.folder, _waits_for_jobs) as process:
        yield Process(process.pid)


@contextmanager
def running(
    command: Sequence[str], port: int, environment: Mapping[str, str], folder: Path = ROOT
) -> Iterator[Server]:
    """Yield a server process that answers on the port, and end it afterwards in any case."""

    def answers(_: Path) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    with _started(command, environment, folder, answers) as process:
        yield Server(process.pid, port)


def _waits_for_jobs(log: Path) -> bool:
    return "waits for jobs" in log.read_text(errors="replace")


@contextmanager
def _started(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    is_ready: Callable[[Path], bool],
) -> "Iterator[subprocess.Popen[bytes]]":
    """Yield a process that is ready, as a look at it or at its log says, and end it afterwards."""
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            _wait_until_ready(process, Path(log.name), is_ready)
            yield process
        finally:
            _end(process)


def _wait_until_ready(
    process: "subprocess.Popen[bytes]", log: Path, is_ready: Callable[[Path], bool]
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(log):
        if process.poll() is not None or time.monotonic() > deadline:
            printed = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{process.args!r} does not answer: {printed}")
        time.sleep(0.05)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
