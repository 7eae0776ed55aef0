"""PostgreSQL and Redis servers for tests: private, and removed when the process that started them
ends.

with private_postgres() as database_url, private_redis() as redis_url:
    ...
"""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, ClassVar, Self

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from testing import binaries
from testing.binaries import ServerUnavailable

START_SECONDS = 30
STOP_SECONDS = 20
UNPRIVILEGED_USERS = ("postgres", "nobody")

# The keeper runs the server and ends shortly after its owner. The owner holds the other end of the
# keeper's input, which is closed when the owner ends, even by SIGKILL.
KEEPER = """
exec 3<&0
"$@" 3<&- & server=$!
{ read -r line <&3; kill -INT "$server"; } & reader=$!
wait "$server"
kill "$reader"
rm -rf "$0"
"""


class PrivateServer(ABC):
    """A private server process on a free port of 127.0.0.1, as a context manager.

    `stop()` and `start()` may be called in between: the port stays, the data does not.
    """

    name: ClassVar[str]
    url: str

    def __init__(self) -> None:
        self.port = _free_port()
        self.account: pwd.struct_passwd | None = None
        self._directory: Path | None = None
        self._keeper: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self, directory: Path) -> list[str]:
        """Prepare the directory and return the command that serves from it."""

    @abstractmethod
    def _connect(self) -> None:
        """Connect once and leave the server ready for clients, or raise the client's error."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and return when it answers.

        Raises ServerUnavailable when there are no binaries or it does not answer in time.
        """
        self._directory = Path(tempfile.mkdtemp(prefix="parley-"))
        try:
            if self.account:
                os.chown(self._directory, self.account.pw_uid, self.account.pw_gid)
            command = self._command(self._directory)
            with tempfile.TemporaryFile() as log:
                self._keeper = self._spawn(
                    ["sh", "-c", KEEPER, str(self._directory), *command], log, subprocess.PIPE
                )
                self._wait_until_it_answers(log)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and remove its data; does nothing when it is stopped already."""
        self.thaw()
        keeper, self._keeper = self._keeper, None
        if keeper and keeper.stdin:
            keeper.stdin.close()
            try:
                keeper.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(keeper.pid, signal.SIGKILL)
                keeper.wait()
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def runs(self) -> bool:
        """Return whether the server was started and has not ended since."""
        return self._keeper is not None and self._keeper.poll() is None

    def freeze(self) -> None:
        """Stop the processes of the server: its connections stay open and it answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the processes of the server continue."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        """Send the signal to all processes of the server, parents first."""
        for pid in _descendants(self._keeper.pid) if self._keeper else ():
            # A process may have ended meanwhile.
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _spawn(
        self, command: list[str], log: IO[bytes], stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=log,
            stderr=log,
            cwd=self._directory,
            env={k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"},
            user=self.account.pw_uid if self.account else None,
            group=self.account.pw_gid if self.account else None,
            extra_groups=[] if self.account else None,
            # Ctrl-C must reach only the owner, whose tests need the server until they have ended.
            start_new_session=True,
        )

    def _wait_until_it_answers(self, log: IO[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._connect()
            except (psycopg.Error, redis.RedisError) as error:
                ended = self._keeper is None or self._keeper.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise self._unavailable(f"does not answer ({error})", log) from error
            time.sleep(0.05)

    def _unavailable(self, reason: str, log: IO[bytes]) -> ServerUnavailable:
        log.seek(0)
        output = log.read().decode(errors="replace").strip()[-500:]
        return ServerUnavailable(f"A private {self.name} {reason}. Its output: {output}")


class PrivatePostgres(PrivateServer):
    """A PostgreSQL server with an empty database `parley`, which it never flushes to disk."""

    name = "PostgreSQL"

    def __init__(self) -> None:
        super().__init__()
        self.account = _unprivileged_account()
        self.url = f"postgresql://parley@127.0.0.1:{self.port}/parley"

    def _command(self, directory: Path) -> list[str]:
        programs = self._reachable(binaries.postgres_folder(), directory)
        data = directory / "data"
        # In the character type C, lower() would change only ASCII letters.
        letters = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
        place = [f"--pgdata={data}", "--username=parley", "--auth=trust", "--no-sync"]
        text = ["--encoding=UTF8", "--locale=C", f"--lc-ctype={letters}"]
        with tempfile.TemporaryFile() as log:
            initdb = self._spawn([str(programs / "initdb"), *place, *text], log)
            if initdb.wait():
                raise self._unavailable("could not make its data directory", log)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": directory,
            "max_connections": 200,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        flags = [f"--{name}={value}" for name, value in settings.items()]
        return [str(programs / "postgres"), "-D", str(data), *flags]

    def _connect(self) -> None:
        address = self.url.removesuffix("parley") + "postgres"
        with psycopg.connect(address, connect_timeout=2, autocommit=True) as connection:
            connection.execute("CREATE DATABASE parley")

    def _reachable(self, programs: Path, directory: Path) -> Path:
        """Return the programs' folder, or a copy if the account may not enter root's folders."""
        try:
            with tempfile.TemporaryFile() as log:
                self._spawn([str(programs / "initdb"), "--version"], log).wait()
        except PermissionError:
            wheel = programs.parent.parent
            for part in (programs.parent, wheel.with_name(f"{wheel.name}.libs")):
                copy = directory / part.relative_to(wheel.parent)
                shutil.copytree(part, copy, symlinks=True)
            return directory / programs.relative_to(wheel.parent)
        return programs


class PrivateRedis(PrivateServer):
    """A Redis server that stores nothing on disk."""

    name = "Redis"

    def __init__(self) -> None:
        super().__init__()
        self.url = f"redis://127.0.0.1:{self.port}"

    def _command(self, directory: Path) -> list[str]:
        program = str(binaries.redis_program())
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(directory)]
        return [program, *place, "--save", "", "--appendonly", "no"]

    def _connect(self) -> None:
        once = Retry(NoBackoff(), retries=0)
        with redis.Redis(port=self.port, socket_timeout=2, retry=once) as client:
            client.ping()


class PrivateClusterNode(PrivateRedis):
    """A primary of a Redis Cluster, which owns no slots yet."""

    def _command(self, directory: Path) -> list[str]:
        bus = ["--cluster-port", str(_free_port())]
        return [*super()._command(directory), "--cluster-enabled", "yes", *bus]


@contextmanager
def private_postgres() -> Iterator[str]:
    """Yield the URL of an empty PostgreSQL database; raises ServerUnavailable."""
    with PrivatePostgres() as server:
        yield server.url


@contextmanager
def private_redis() -> Iterator[str]:
    """Yield the URL of an empty Redis server; raises ServerUnavailable."""
    with PrivateRedis() as server:
        yield server.url


@contextmanager
def private_redis_cluster() -> Iterator[list[PrivateClusterNode]]:
    """Yield the two primaries of a Redis Cluster; raises ServerUnavailable, also if the Redis of
    this machine is older than sharded pub/sub (7.0)."""
    with PrivateRedis() as server, redis.Redis(port=server.port) as client:
        found = str(client.info("server")["redis_version"])
    if int(found.partition(".")[0]) < 7:
        raise ServerUnavailable(f"Redis {found} has no sharded pub/sub.")
    with PrivateClusterNode() as one, PrivateClusterNode() as other:
        with redis.Redis(port=one.port) as first, redis.Redis(port=other.port) as second:
            first.cluster("ADDSLOTSRANGE", 0, 8191)
            second.cluster("ADDSLOTSRANGE", 8192, 16383)
            # The address of its bus is not derived from the port here.
            bus = second.config_get("cluster-port")["cluster-port"]
            first.cluster("MEET", "127.0.0.1", other.port, bus)
            deadline = time.monotonic() + START_SECONDS
            while not all(_whole(node) for node in (first, second)):
                if time.monotonic() > deadline:
                    raise ServerUnavailable("The nodes of a private Redis Cluster do not meet.")
                time.sleep(0.05)
        yield [one, other]


def _whole(node: redis.Redis) -> bool:
    """Return whether the node knows who owns each slot."""
    return dict(node.cluster("INFO")).get("cluster_state") == "ok"


def _descendants(keeper: int) -> Iterator[int]:
    """Yield the processes below the keeper, parents first, without the shells that keep."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True
    )
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    parents = [keeper]
    for parent in parents:
        for pid, its_parent, command in rows:
            if int(its_parent) == parent and Path(command).name != "sh":
                parents.append(int(pid))
                yield int(pid)


def _free_port() -> int:
    # Below the range from which systems pick the ports of outgoing connections: while a server is
    # stopped between two starts, none of its own clients can happen to get its port.
    while True:
        port = random.randint(15_000, 30_000)  # noqa: S311
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def _unprivileged_account() -> pwd.struct_passwd | None:
    """Return the account that PostgreSQL runs as if this process is root, which PostgreSQL refuses;
    else None, for the present account."""
    if os.geteuid() != 0:
        return None
    known = {account.pw_name: account for account in pwd.getpwall()}
    for name in UNPRIVILEGED_USERS:
        if name in known:
            return known[name]
    raise ServerUnavailable("PostgreSQL refuses to run as root, and there is no user `nobody`.")
