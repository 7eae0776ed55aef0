"""The installation that the faults hit: PostgreSQL, Redis, two web processes, and workers where an
experiment has some; each its own, and a link that can fail on each hop of the web processes."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg

from apps.notifications.tests.push_service import make_certificate
from bench.servers import NEVER_REFUSED, DurablePostgres
from testing.chaos.broken_builds import BUILDS
from testing.chaos.link import Link
from testing.chaos.processes import LOGS, ROOT, Process, Web, Worker
from testing.chaos.sinks import MailServer, PushService
from testing.servers import PrivateRedis

START_SECONDS = 60.0
# A disk that is small enough to be filled, and large enough for the longest run.
DISK_BYTES = 2 * 1024**3


class Timeout(AssertionError):
    """Something did not become so in time."""


async def until(what: Callable[[], Any], *, seconds: float, pause: float = 0.05) -> float:
    """Wait until a condition holds, which is asked in a thread; return how long that took. Raises
    Timeout."""
    began = time.monotonic()
    while not await asyncio.to_thread(what):
        if time.monotonic() - began > seconds:
            raise Timeout(f"Not so within {seconds:.0f} s: {what}")
        await asyncio.sleep(pause)
    return time.monotonic() - began


class LastingPostgres(DurablePostgres):
    """A private server whose data outlives its stops, and which flushes every commit."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._made: list[str] = []
        if self.account:
            os.chown(folder, self.account.pw_uid, self.account.pw_gid)

    def _command(self, directory: Path) -> list[str]:
        if not self._made:
            # So that it does not take more of a small disk than it needs.
            self._made = [*super()._command(self.folder), "--max_wal_size=256MB"]
        return self._made

    def _connect(self) -> None:
        with suppress(psycopg.errors.DuplicateDatabase):
            super()._connect()

    def crash(self) -> None:
        """Stop it at once, as `pg_ctl stop -m immediate` does."""
        pid = (self.folder / "data" / "postmaster.pid").read_text().split()[0]
        os.kill(int(pid), signal.SIGQUIT)
        self.stop()


class MortalRedis(PrivateRedis):
    """A private server that can be killed."""

    def crash(self) -> None:
        """Kill it."""
        self._signal(signal.SIGKILL)
        self.stop()


class Cluster:
    """All parts. `kills` counts the processes that were killed."""

    def __init__(self, postgres: LastingPostgres, redis: MortalRedis, *, small_disk: bool) -> None:
        self.postgres = postgres
        self.redis = redis
        self.small_disk = small_disk
        self.webs: list[Web] = []
        self.workers: list[Worker] = []
        self.mails: MailServer
        self.pushes: PushService
        self.kills = 0
        self.environment: dict[str, str] = {}

    def manage(self, *arguments: str, **changed: str) -> str:
        """Run a program of the installation to its end, and return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**self.environment, **changed},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
        return done.stdout.decode()

    def people(self, casts: int, crowd: int) -> dict[str, Any]:
        """Make so many casts, and a crowd of so many."""
        made: dict[str, Any] = json.loads(
            self.manage("-m", "testing.chaos.seed", str(casts), str(crowd))
        )
        return made

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement. It does not pass by a link."""
        return _query(self.postgres.url, statement, values)

    def administer(self, statement: str) -> None:
        """Run a statement about the database, outside of it."""
        _query(self.postgres.url.removesuffix("parley") + "postgres", statement, ())

    def kill(self, *processes: Process) -> None:
        """Kill processes by SIGKILL."""
        for process in processes:
            process.end(signal.SIGKILL)
            self.kills += 1

    @asynccontextmanager
    async def working(self, count: int, **changed: str) -> AsyncIterator[list[Worker]]:
        """Have so many workers in the block, with these changes of their environment."""
        environment = {**self.environment, **changed}
        self.workers = [Worker(f"worker-{number}", environment) for number in range(count)]
        try:
            for worker in self.workers:
                worker.start()
            yield self.workers
        finally:
            await asyncio.gather(*(asyncio.to_thread(worker.end) for worker in self.workers))
            self.workers = []

    def holders(self, task: str) -> list[Process]:
        """Return the processes that have a job of this task now, most often of the workers."""
        taken = self.query(
            "SELECT worker FROM jobs_job WHERE status = 'processing' AND task LIKE %s", f"%.{task}"
        )
        pids = {int(worker.rpartition(":")[2]) for (worker,) in taken}
        return [one for one in (*self.webs, *self.workers) if one.pid in pids]

    def crash_postgres(self) -> None:
        """Stop PostgreSQL at once."""
        self.postgres.crash()
        self.kills += 1

    def crash_redis(self) -> None:
        """Kill Redis."""
        self.redis.crash()
        self.kills += 1

    def terminate_backends(self) -> int:
        """End all connections to the database at its side; return how many there were."""
        ended = self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return len(ended)

    async def ready(self, *, seconds: float = START_SECONDS) -> float:
        """Wait until every web process is ready, and return how long that took."""
        took = [await until(web.ready, seconds=seconds) for web in self.webs]
        return sum(took)

    async def restart(self, *webs: Web) -> None:
        """Start web processes that have ended, and wait until they are ready."""
        for web in webs:
            web.start()
        for web in webs:
            await until(web.ready, seconds=START_SECONDS)

    async def mend(self) -> None:
        """Bring everything back to where it works, after an experiment that was broken off."""
        for web in self.webs:
            for link in (web.link, web.to_postgres, web.to_redis):
                link.flow()
            web.send(signal.SIGCONT)
        for server in (self.postgres, self.redis):
            server.thaw()
            if not server.runs:
                await asyncio.to_thread(server.stop)
                await asyncio.to_thread(server.start)
        await self.restart(*(web for web in self.webs if not web.runs))

    def end_webs(self) -> None:
        """End both web processes."""
        for web in self.webs:
            web.end()


def _query(url: str, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


@asynccontextmanager
async def cluster(build: str = "", *, hurried: bool = False) -> AsyncIterator[Cluster]:
    """Yield a cluster that starts to serve, of the named broken build if one is named; raises
    ServerUnavailable. `hurried` has heartbeats come every 5 seconds instead of every 25, and leases
    end after 3 seconds instead of 30."""
    LOGS.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        folder, small_disk = stack.enter_context(disk())
        postgres, redis = LastingPostgres(folder), MortalRedis()
        for server in (postgres, redis):
            await asyncio.to_thread(stack.enter_context, server)
        made = Cluster(postgres, redis, small_disk=small_disk)
        certificate = make_certificate(LOGS)
        made.mails, made.pushes = MailServer(), PushService(certificate)
        for sink in (made.mails, made.pushes):
            await stack.enter_async_context(sink.open())
        tampered = ["always", *(["short-times"] if hurried else []), *([build] if build else [])]
        made.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            **NEVER_REFUSED,
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "EMAIL_URL": f"smtp://127.0.0.1:{made.mails.port}",
            "CHAOS_PUSH_PORT": str(made.pushes.port),
            "CHAOS_PUSH_CERTIFICATE": str(certificate),
            "SERVER_HOST": "127.0.0.1",
            "APP_ENV": "test",
            "APP_SECRET_KEY": secrets.token_urlsafe(64),
            "JWT_SECRET": secrets.token_urlsafe(64),
            # Longer than any run.
            "JWT_ACCESS_EXPIRY": "1000",
            "LOG_LEVEL": "warning",
            "LOG_FORMAT": "json",
            "DJANGO_SETTINGS_MODULE": "testing.chaos.settings",
            "PARLEY_TAMPER": ",".join(tampered),
        }
        await asyncio.to_thread(made.manage, "manage.py", "migrate", "--verbosity", "0")
        made.query("CREATE TABLE chaos_run (slot text NOT NULL)")
        if build and BUILDS[build].statement:
            made.query(BUILDS[build].statement)
        for name in ("one", "other"):
            made.webs.append(await stack.enter_async_context(_web(made, name)))
        stack.callback(made.end_webs)
        for web in made.webs:
            web.start()
        yield made


@asynccontextmanager
async def _web(made: Cluster, name: str) -> AsyncIterator[Web]:
    """Yield a web process that is not started, with a link on each of its hops."""
    async with (
        Link(made.postgres.port).open() as to_postgres,
        Link(made.redis.port).open() as to_redis,
    ):
        here = {
            "DATABASE_URL": made.postgres.url.replace(
                str(made.postgres.port), str(to_postgres.port)
            ),
            "REDIS_URL": f"redis://127.0.0.1:{to_redis.port}",
        }
        web = Web(name, {**made.environment, **here})
        web.to_postgres, web.to_redis = to_postgres, to_redis
        async with web.link.open():
            address = f"http://127.0.0.1:{web.link.port}"
            # Without the proxies that the environment may name.
            async with httpx.AsyncClient(base_url=address, timeout=8, trust_env=False) as web.http:
                yield web


@contextmanager
def disk() -> Iterator[tuple[Path, bool]]:
    """Yield a folder for a database, and whether it is a small file system of its own, which can
    be filled. Only root may mount one, and not in every container."""
    folder = Path(tempfile.mkdtemp(prefix="parley-chaos-"))
    mount = shutil.which("mount")
    command = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    mounted = (
        mount is not None
        and not subprocess.run([mount, *command], stderr=subprocess.DEVNULL, check=False).returncode
    )
    try:
        yield folder, mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)
